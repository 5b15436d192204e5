//! The verbs, told as cases: given a snapshot, when this is asked, then that.
