//! The pages: what they show, what they refuse, and the way through them.

mod backchannel;
mod house;
mod journey;
mod outside;
mod pages;
mod routes;
mod views;
