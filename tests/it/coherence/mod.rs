//! Several instances on one database: a model of the protocol with every fault that we know of, with
//! variants of it that must fail, so that the model is known to see; and the real thing.

mod model;
mod real;
mod sim;
