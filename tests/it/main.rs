//! Promises kept end to end, over real sockets.
#[cfg(test)]
mod remote;
