//! What an administrator may write: documents checked against everything else in the snapshot.
