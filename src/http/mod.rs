//! L5. The only place that knows HTTP: connections, heads, bodies, routes and answers.
//!
//! Nothing here decides: a handler parses, calls one function of `service`, and replies.

pub mod admin;
pub mod form;
pub mod head;
pub mod serve;
