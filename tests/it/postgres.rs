//! A PostgreSQL of the test run's own: started by the first test that wants one, gone when the
//! process is, however that ends. No test here is about Deputy.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use sqlx::{Connection, PgConnection};

/// A free port may be taken by somebody else between our look and the server's start.
const ATTEMPTS: usize = 5;

/// Runs in a session of its own, so that a signal to the test's process group misses it. It holds
/// the cluster up for as long as its standard input is open: the kernel closes that when the test
/// process ends, even by SIGKILL. Then it stops the server and removes the directory.
const WATCHER: &str = r#"
dir=$(mktemp -d /tmp/deputy-it.XXXXXX) || exit 1
trap '"$BIN/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1; rm -rf "$dir"' EXIT
trap '' INT TERM HUP PIPE
cd "$dir" || exit 1
"$BIN/initdb" -D data -U deputy -A trust -E UTF8 --locale=C --no-sync >log 2>&1 &&
"$BIN/pg_ctl" -D data -l log -t 60 -w start -o "-c listen_addresses=127.0.0.1 -c port=$PORT \
    -c unix_socket_directories='$dir' -c max_connections=200 -c fsync=on" >/dev/null 2>&1 ||
{ cat log; exit 1; }
echo "ready $dir"
read -r _
"#;

/// A running server. The run's own lives as long as the process, any other until it is dropped.
pub struct Cluster {
    bin: PathBuf,
    port: u16,
    dir: PathBuf,
    /// Its standard input stays open for as long as this value lives.
    watcher: Child,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().unwrap();
    }
}

/// The run's cluster, started at first use.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::own)
}

impl Cluster {
    /// Where it listens, on loopback.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Ends it without a good-bye (`immediate`), as a crash does, and starts it again.
    pub fn restart(&self) {
        let restarted = unprivileged()
            .arg(self.bin.join("pg_ctl"))
            .arg("-D")
            .arg(self.dir.join("data"))
            .arg("-l")
            .arg(self.dir.join("log"))
            .args(["-m", "immediate", "-t", "60", "-w", "restart"])
            // It was started with a path from here.
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(restarted.success(), "PostgreSQL did not start again");
    }

    /// Where the database `name` is.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://deputy@127.0.0.1:{}/{name}", self.port)
    }

    /// Makes the database `name`, a copy of `template` (`template1` for an empty one); its URL.
    /// Nobody may be connected to the template meanwhile.
    pub fn create_database(&self, name: &str, template: &str) -> String {
        let port = self.port.to_string();
        let made = Command::new(self.bin.join("createdb"))
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "deputy", "-T", template, name])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.url(name)
    }

    /// All that is in the database at `url`, as text; bytes are hexadecimal digits.
    pub fn dump(&self, url: &str) -> String {
        let dumped = Command::new(self.bin.join("pg_dump")).args(["--inserts", url]).output();
        let dumped = dumped.unwrap();
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        String::from_utf8(dumped.stdout).unwrap()
    }

    /// A server of one test's own, for what others would not survive.
    pub fn own() -> Cluster {
        Cluster::begun_by(unprivileged)
    }

    /// One whose every process was begun by this.
    fn begun_by(begin: impl Fn() -> Command) -> Cluster {
        let bin = binaries();
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            match Cluster::attempt(&bin, begin()) {
                Ok(cluster) => return cluster,
                Err(said) => log = said,
            }
        }
        panic!("PostgreSQL did not start:\n{log}");
    }

    /// One that has so many bytes at [`SMALL_DISK`].
    pub fn beside_a_small_disk(bytes: u64) -> Cluster {
        let become_it = unprivileged();
        Cluster::begun_by(|| {
            let mut command = on_a_small_disk(bytes, "postgres");
            command.arg(become_it.get_program()).args(become_it.get_args());
            command
        })
    }

    /// The files as it sees them.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.watcher.id()))
    }

    fn attempt(bin: &Path, mut begin: Command) -> Result<Cluster, String> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut watcher = begin
            .args(["setsid", "sh", "-c", WATCHER])
            .env("BIN", bin)
            .env("PORT", port.to_string())
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(watcher.stdout.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        if let Some(dir) = first.trim_end().strip_prefix("ready ") {
            return Ok(Cluster { bin: bin.to_owned(), port, dir: dir.into(), watcher });
        }
        said.read_to_string(&mut first).unwrap();
        watcher.wait().unwrap();
        Err(first)
    }
}

/// What runs the words behind it without the files that this process inherited: they are not for a
/// server that outlives it. Whoever waits for a lock or a pipe of ours would wait for that one too.
const ALONE: &str = r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$@""#;

/// PostgreSQL refuses to run as root.
fn unprivileged() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", ALONE, "sh"]);
    if rustix::process::geteuid().is_root() {
        command.args(["runuser", "-u", "postgres", "--"]);
    }
    command
}

/// Where there is a small disk for whoever has one.
pub const SMALL_DISK: &str = "/mnt";

/// Mounts a disk of `$1` bytes that belongs to `$2`, and becomes what follows.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size="$1",mode=0700,uid="$(id -u "$2")" deputy /mnt || exit 1
shift 2
exec "$@""#;

/// What begins whatever its further arguments say, in a world that has a small disk at
/// [`SMALL_DISK`]: nobody else sees it, and it goes with the process (a mount namespace).
pub fn on_a_small_disk(bytes: u64, owner: &str) -> Command {
    let mut command = Command::new("unshare");
    let owner = if rustix::process::geteuid().is_root() {
        owner
    } else {
        command.args(["--user", "--map-root-user"]);
        "root"
    };
    command.args(["--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
    command.args([&bytes.to_string(), owner]).stdin(Stdio::null());
    command
}

/// The directory of `initdb`: the newest under Debian's, else the first on the path.
fn binaries() -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin"))))
        .collect();
    versions.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let found = versions.into_iter().rev().map(|(_, bin)| bin).chain(env::split_paths(&path));
    found.into_iter().find(|bin| bin.join("initdb").is_file()).unwrap_or_else(|| {
        panic!("no PostgreSQL server here: install Debian's `postgresql`, or run `scripts/test`")
    })
}

#[tokio::test]
async fn a_database_is_copied_from_a_template() {
    let template = cluster().create_database("smoke_template", "template1");
    let mut made = PgConnection::connect(&template).await.unwrap();
    sqlx::query("CREATE TABLE copied (n bigint)").execute(&mut made).await.unwrap();
    made.close().await.unwrap();

    let copy = cluster().create_database("smoke", "smoke_template");
    let mut connection = PgConnection::connect(&copy).await.unwrap();
    let one: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&mut connection).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM copied").fetch_one(&mut connection).await.unwrap();
    assert_eq!((one, rows), (1, 0));
}
