//! L3. The verbs, pure: plain functions of (snapshot, request, now).
//!
//! Nothing here does I/O, reads a clock or draws a random number. A verb that needs something from
//! outside says so (`needs`), judges once it is there (`judge`), and what it judged takes effect
//! only when the store has confirmed it (`settle`).

pub mod access;
pub mod admin;
pub mod assertion;
pub mod authenticate;
pub mod call;
pub mod decide;
pub mod denial;
pub mod dpop;
pub mod exchange;
pub mod explain;
pub mod kept;
pub mod refusal;
pub mod replay;
pub mod revoke;
pub mod simulate;
pub mod snapshot;
pub mod spend;
pub mod verify;
