mod mutation;
mod recording;
mod refusals;
mod streams;
mod vectors;
mod weather;
mod writing;
