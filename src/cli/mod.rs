//! L6. The command line: `deputy serve` and its kin, and a client of the admin API for everything
//! that operators do. Nothing here opens the database or decides anything: an administrative
//! command is one HTTP request (two where a document is read to be changed).

mod api;
mod args;
mod compose;
mod diff;
mod explained;
mod out;
mod policies;
mod replayed;
mod run;
pub mod server;
mod show;

#[cfg(test)]
mod tests;

#[cfg(feature = "demo")]
pub use self::args::Story;

pub use self::{
    args::{AdminCommand, Cli, Command, Connection, ServerArgs},
    out::Out,
    run::run,
    server::ServerError,
};
