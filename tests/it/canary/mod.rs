//! Nothing the broker writes holds a secret: not its database, logs, statuses, pages or command line.

mod evidence;
mod job;
mod link;
mod several;
mod sweep;
