//! Random sequences of what people, servers, administrators, the provider and bad luck do, against a small model of what must follow.

mod reference;
mod run;
mod system;
