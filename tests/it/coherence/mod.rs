//! Several instances on one database: a model of the protocol with every fault that we know of, and
//! with variants of it that must fail, so that the model is known to see.

mod model;
mod sim;
