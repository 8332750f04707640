//! The pages in a real Chromium: what people see, press and are told, and what the broker made of it.

mod connect;
mod story;
