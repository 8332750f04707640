//! The pages, one file per kind of hostile value: each ends on one of our own pages, under all the headers, with nothing
//! of the value in it.

mod actions;
mod backchannel;
mod cookies;
mod endpoints;
mod escaping;
mod forms;
mod hostile;
mod house;
mod methods;
mod parameters;
mod parent;
mod paths;
mod redirects;
mod scene;
