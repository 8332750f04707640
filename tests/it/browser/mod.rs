//! The pages in a real Chromium: what people see, press and are told, and what the broker made of it.

mod connect;
mod connections;
mod impatience;
mod judge;
mod keyboard;
mod long;
mod people;
mod previews;
mod refusals;
mod sessions;
mod several;
mod step_up;
mod story;
mod unavailable;
