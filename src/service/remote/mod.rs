//! Everything Deputy fetches from somebody else: one guarded fetcher, discovery of an issuer's
//! metadata, and the key sets of trusted issuers. Nothing outside this module opens a connection
//! to an address that an administrator did not register, and nothing in here knows what the keys
//! are used for.

pub mod address;
pub mod discovery;
pub mod error;
pub mod fetch;
pub mod keys;
