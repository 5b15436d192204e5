//! L2. The protocol's vocabulary: parameters, codes, URNs, claims and documents, each with its
//! section. Nothing here decides; it only reads and writes what the standards name.

pub mod authzen;
pub mod checkpoint;
pub mod claims;
pub mod code;
pub mod decision;
pub mod details;
pub mod introspection;
pub mod metadata;
pub mod params;
pub mod token_request;
pub mod token_type;
