//! A disk that is full, until somebody makes room.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Load, Stage};
use crate::{
    postgres::{Cluster, SMALL_DISK, on_a_small_disk},
    serve_process::{Folder, Server, free_address},
    store::Hand,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deputy");
/// How much there is, in bytes: enough for a database.
const ROOM: u64 = 24 * 1024 * 1024;
/// Takes all the room that there is; gone, and with it the shortage, when dropped.
struct Filler(PathBuf);

impl Filler {
    fn at(place: &Path) -> Filler {
        let path = place.join("filler");
        let mut file = File::create(&path).unwrap();
        let mut block = vec![0; 64 * 1024];
        // In ever smaller steps, to the last byte.
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        Filler(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap_or_default();
    }
}

/// The same disk as it is seen from here.
fn seen_from_here(root: &Path) -> PathBuf {
    root.join(SMALL_DISK.trim_start_matches('/'))
}

async fn survives_a_full_disk(stage: &Arc<Stage>, disk: &Path) {
    let fault = async |load: &Load| {
        let filler = Filler::at(disk);
        load.refuses().await;
        drop(filler);
    };
    stage.survives(fault).await;
}

#[tokio::test]
async fn a_full_disk_under_sqlite() {
    let folder = Folder::new();
    let mut command = on_a_small_disk(ROOM, "root");
    command.arg(PROGRAM).current_dir(&folder.0);
    let url = format!("sqlite:{SMALL_DISK}/deputy.db");
    let server = Server::run(command, &folder.0, &free_address(), &["--database", &url]);
    let disk = seen_from_here(&server.root());
    survives_a_full_disk(&Stage::of(server, folder).await, &disk).await;
}

/// The tables have no room; its log has, else it would stop.
#[tokio::test]
async fn a_full_disk_under_postgresql() {
    let cluster = Cluster::beside_a_small_disk(ROOM);
    let mut hand = Hand::on(&cluster.url("postgres")).await;
    hand.run("CREATE TABLESPACE small LOCATION '/mnt'").await;
    hand.run("CREATE DATABASE fills TABLESPACE small").await;
    drop(hand);
    let folder = Folder::new();
    let url = cluster.url("fills");
    let server = Server::start(&folder.0, &free_address(), &["--database", &url]);
    let disk = seen_from_here(&cluster.root());
    survives_a_full_disk(&Stage::of(server, folder).await, &disk).await;
}
