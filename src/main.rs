//! The program `deputy`.

fn main() {}
