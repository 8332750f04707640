mod mutation;
mod recording;
mod refusals;
mod sqlite;
mod streams;
mod vectors;
mod weather;
mod writing;
