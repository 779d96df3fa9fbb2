//! The runtime API of an HAProxy, in process: it keeps versions of maps, weights of servers and variables, and
//! answers in HAProxy's words. Faults are scripted.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

/// What a line of commands meets.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// It has no effect, and this is the answer.
    Answer(&'static [u8]),
    /// It has no effect, and the answer never ends.
    Endless,
    /// It has no effect and is never answered.
    Hang,
    /// It takes effect, but only so much of the answer arrives, in hundredths.
    Lose(usize),
    /// Somebody else acts just before.
    Overtake(fn(&mut Inner)),
}

#[derive(Clone)]
pub(crate) struct RuntimeApi(Arc<Mutex<Inner>>);

pub(crate) struct Inner {
    directory: TempDir,
    maps: BTreeMap<String, Map>,
    servers: BTreeMap<String, Vec<Server>>,
    variables: BTreeMap<String, String>,
    level: &'static str,
    faults: Vec<(&'static str, Fault)>,
    lines: Vec<String>,
}

/// A map: its entries, each with the version that it is of.
#[derive(Default)]
struct Map {
    current: u32,
    newest: u32,
    entries: Vec<(u32, String)>,
}

#[derive(Clone)]
struct Server {
    name: &'static str,
    weight: u32,
    initial: u32,
    admin: u32,
}

impl RuntimeApi {
    /// Answers at a socket of its own for as long as the runtime runs. Every map is empty; every backend has
    /// the servers `stable`, `baseline` and `candidate`.
    pub(crate) fn start(maps: &[&str], backends: &[&str]) -> Self {
        let servers = [("stable", 100), ("baseline", 0), ("candidate", 0)];
        let servers = servers.map(|(name, weight)| Server { name, weight, initial: weight, admin: 0 });
        let api = Self(Arc::new(Mutex::new(Inner {
            directory: TempDir::new().unwrap(),
            maps: maps.iter().map(|path| ((*path).to_owned(), Map::default())).collect(),
            servers: backends.iter().map(|name| ((*name).to_owned(), servers.to_vec())).collect(),
            variables: BTreeMap::new(),
            level: "admin",
            faults: Vec::new(),
            lines: Vec::new(),
        })));
        let listener = UnixListener::bind(api.socket()).unwrap();
        let server = api.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                // A router that has seen enough hangs up.
                tokio::spawn(async move { drop(server.serve(stream).await) });
            }
        });
        api
    }

    pub(crate) fn socket(&self) -> String {
        self.lock().directory.path().join("admin.sock").display().to_string()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.lock().directory.path().to_owned()
    }

    /// The next line of commands that begins with `start` meets `fault`.
    pub(crate) fn fail(&self, start: &'static str, fault: Fault) {
        self.lock().faults.push((start, fault));
    }

    /// What somebody else does.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Inner)) {
        edit(&mut self.lock());
    }

    /// What somebody else is answered.
    pub(crate) fn edit_answer(&self, command: &str) -> String {
        self.lock().command(command)
    }

    /// How many lines of commands began with `start`.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.lock().lines.iter().filter(|line| line.starts_with(start)).count()
    }

    /// All lines of commands so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    async fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim_end().to_owned();
        let fault = {
            let mut inner = self.lock();
            inner.lines.push(line.clone());
            let place = inner.faults.iter().position(|(start, _)| line.starts_with(start));
            place.map(|place| inner.faults.remove(place).1)
        };
        let answer = || line.split(';').map(|command| self.lock().answer(command)).collect::<String>();
        match fault {
            Some(Fault::Answer(bytes)) => stream.write_all(bytes).await?,
            Some(Fault::Endless) => loop {
                stream.write_all(&[b'x'; 1 << 16]).await?;
            },
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Lose(hundredths)) => {
                let answer = answer();
                stream.write_all(&answer.as_bytes()[..answer.len() * hundredths / 100]).await?;
            }
            Some(Fault::Overtake(act)) => {
                act(&mut self.lock());
                stream.write_all(answer().as_bytes()).await?;
            }
            None => stream.write_all(answer().as_bytes()).await?,
        }
        stream.shutdown().await
    }
}

impl Inner {
    /// Gives a command as somebody else does.
    pub(crate) fn command(&mut self, command: &str) -> String {
        self.answer(command)
    }

    /// Starts anew, with the maps as they are in their files, and the weights of the configuration.
    pub(crate) fn restart(&mut self) {
        for map in self.maps.values_mut() {
            *map = Map::default();
        }
        for server in self.servers.values_mut().flatten() {
            (server.weight, server.admin) = (server.initial, 0);
        }
        self.variables.clear();
    }

    /// As if a map had been replaced this often.
    pub(crate) fn versions_at(&mut self, map: &str, version: u32) {
        let map = self.maps.get_mut(map).unwrap();
        (map.current, map.newest) = (version, version);
    }

    pub(crate) fn level(&mut self, level: &'static str) {
        self.level = level;
    }

    fn answer(&mut self, command: &str) -> String {
        let words: Vec<_> = command.split(' ').collect();
        let reading = matches!(words[0], "show");
        if self.level != "admin" && !reading {
            return "Permission denied\n\n".to_owned();
        }
        match words.as_slice() {
            ["show", "map"] => self.list(),
            ["show", "map", version, path] if version.starts_with('@') => {
                self.map(path, |map| map.show(number(version)))
            }
            ["show", "map", path] => self.map(path, |map| map.show(map.current)),
            ["prepare", "map", path] => self.map(path, Map::prepare),
            ["add", "map", version, path, key, value] => {
                self.map(path, |map| map.add(number(version), format!("{key} {value}")))
            }
            ["commit", "map", version, path] => self.map(path, |map| map.commit(number(version))),
            ["show", "servers", "state", backend] => self.state(backend),
            ["set", "server", server, "weight", weight] => self.set(server, |server| {
                server.weight = weight.parse().unwrap();
            }),
            ["set", "server", server, "state", state] => self.set(server, |server| {
                server.admin = u32::from(*state == "drain") * 8;
            }),
            ["experimental-mode", "on"] => "\n".to_owned(),
            ["set", "var", variable, value] => {
                let value = value.strip_prefix("str(").and_then(|value| value.strip_suffix(')')).unwrap();
                self.variables.insert((*variable).to_owned(), value.to_owned());
                "\n".to_owned()
            }
            ["get", "var", variable] => match self.variables.get(*variable) {
                Some(value) => format!("{variable}: type=str value=<{value}>\n"),
                None => "Variable not found.\n\n".to_owned(),
            },
            _ => "Unknown command, but maybe one of the following ones is a better match:\n\n".to_owned(),
        }
    }

    fn list(&self) -> String {
        let mut list = "# id (file) description\n".to_owned();
        for (id, (path, Map { current, newest, entries })) in self.maps.iter().enumerate() {
            let count = entries.len();
            list.push_str(&format!(
                "{id} ({path}) pattern loaded from file '{path}' used by map at file 'haproxy.cfg' line 12. \
                 curr_ver={current} next_ver={newest} entry_cnt={count}\n"
            ));
        }
        list + "\n"
    }

    fn map(&mut self, path: &str, act: impl FnOnce(&mut Map) -> String) -> String {
        match self.maps.get_mut(path) {
            Some(map) => act(map),
            None => "Unknown map identifier. Please use #<id> or <file>.\n\n".to_owned(),
        }
    }

    fn state(&self, backend: &str) -> String {
        let Some(servers) = self.servers.get(backend) else { return "Can't find backend.\n\n".to_owned() };
        let mut table =
            "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight \
                         srv_iweight srv_time_since_last_change\n"
                .to_owned();
        for (id, Server { name, weight, initial, admin }) in servers.iter().enumerate() {
            table.push_str(&format!("3 {backend} {id} {name} 127.0.0.1 2 {admin} {weight} {initial} 8\n"));
        }
        table + "\n"
    }

    fn set(&mut self, server: &str, act: impl FnOnce(&mut Server)) -> String {
        let (backend, name) = server.split_once('/').unwrap();
        let Some(servers) = self.servers.get_mut(backend) else { return "No such backend.\n\n".to_owned() };
        match servers.iter_mut().find(|server| server.name == name) {
            Some(server) => act(server),
            None => return "No such server.\n\n".to_owned(),
        }
        "\n".to_owned()
    }

    /// Takes a server out of the configuration.
    pub(crate) fn remove(&mut self, backend: &str, server: &str) {
        self.servers.get_mut(backend).unwrap().retain(|found| found.name != server);
    }
}

impl Map {
    fn show(&self, version: u32) -> String {
        let of_version = self.entries.iter().filter(|(of, _)| *of == version);
        let lines: String = of_version.map(|(_, entry)| format!("0x7ff7f00465b0 {entry}\n")).collect();
        lines + "\n"
    }

    fn prepare(&mut self) -> String {
        self.newest = self.newest.wrapping_add(1);
        format!("New version created: {}\n\n", self.newest)
    }

    fn add(&mut self, version: u32, entry: String) -> String {
        if version.wrapping_sub(self.current) > self.newest.wrapping_sub(self.current) {
            return "Version number in the future, please use 'prepare map' before.\n\n".to_owned();
        }
        self.entries.push((version, entry));
        "\n".to_owned()
    }

    fn commit(&mut self, version: u32) -> String {
        let ahead = version.wrapping_sub(self.current);
        if ahead == 0 || ahead > self.newest.wrapping_sub(self.current) {
            return "Version number out of range.\n\n".to_owned();
        }
        let current = self.current;
        self.entries.retain(|(of, _)| of.wrapping_sub(current) >= ahead);
        self.current = version;
        "\n".to_owned()
    }
}

fn number(version: &str) -> u32 {
    version.strip_prefix('@').unwrap().parse().unwrap()
}
