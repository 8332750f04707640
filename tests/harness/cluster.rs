//! Several brokers on one PostgreSQL database, each a process of its own that can be killed, stopped and started again.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::config::Config;
use broker::domain::Clock;
use demo::world::{Options, Site, World};
use tonic::transport::{Channel, Endpoint};

use crate::clock::ShiftedClock;
use crate::front::Front;
use crate::history::{Faults, Life};
use crate::postgres::PgDatabase;
use crate::process::BrokerProcess;

/// The configuration of every member: the front has the pages' address.
const CONFIG: &str = "member.yaml";

/// Running members, and the front before their pages.
pub struct Cluster {
    pub site: Arc<Site>,
    pub database: PgDatabase,
    /// The test's own clock and the database's; the members read the machine's.
    pub clock: Arc<ShiftedClock>,
    /// What was done to the members, and whatever a test adds.
    pub faults: Faults,
    front: Front,
    members: Vec<Option<Member>>,
}

struct Member {
    process: BrokerProcess,
    web: SocketAddr,
    channel: Channel,
    paused: bool,
    /// Its number among the lives.
    life: usize,
}

impl Cluster {
    /// Starts so many on a server that keeps what it acknowledged.
    pub async fn start(count: usize, options: Options) -> Cluster {
        let clock = Arc::new(ShiftedClock::default());
        let database = PgDatabase::durable();
        let options = database.options(Options { clock: clock.clone(), ..options });
        let site = World::prepare(options).await.expect("the world is prepared");
        let config = Config::load(&site.config_path()).expect("a sound configuration");
        database.migrate_for(&config).await;
        clock.lead(database.clone());
        let text = std::fs::read_to_string(site.config_path()).expect("the configuration");
        let text = on_any_ports(&text, &site).replace("level: warn", "level: info");
        std::fs::write(site.path(CONFIG), text).expect("written");
        let front = Front::at(site.addresses().web, site.addresses().web);
        let members = (0..count).map(|_| None).collect();
        let faults = Faults::default();
        let mut cluster = Cluster { site: Arc::new(site), database, clock, faults, front, members };
        for number in 0..count {
            cluster.raise(number).await;
        }
        cluster
    }

    /// How many there are, dead ones too.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// Starts the one with this number, which is dead.
    pub async fn raise(&mut self, number: usize) {
        let from = self.now();
        let mut process = BrokerProcess::serve(self.site.directory(), CONFIG);
        process.listening().await;
        let life = self.faults.lives.len();
        self.faults.lives.push(Life { from, listening: self.now(), until: None, killed: false });
        let [grpc, web] = ["grpc", "web"].map(|name| address(&process.stderr(), name));
        let endpoint = Endpoint::from_shared(format!("http://{grpc}")).expect("an address");
        let member = Member { process, web, channel: endpoint.connect_lazy(), paused: false, life };
        self.members[number] = Some(member);
        self.point();
    }

    /// `kill -9`.
    pub async fn kill(&mut self, number: usize) {
        let member = self.members[number].take().expect("it lives");
        self.point();
        member.process.kill().await;
        self.ended(member.life, true);
    }

    /// SIGTERM, and its end.
    ///
    /// # Panics
    /// When it does not end well.
    pub async fn stop(&mut self, number: usize) {
        let member = self.members[number].take().expect("it lives");
        self.point();
        member.process.terminate().await;
        let (status, stderr) = member.process.ended().await;
        assert!(status.success(), "{status:?}: {stderr}");
        self.ended(member.life, false);
    }

    fn ended(&mut self, life: usize, killed: bool) {
        let until = Some(self.now());
        let life = &mut self.faults.lives[life];
        (life.until, life.killed) = (until, killed);
    }

    /// In microseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now().micros()
    }

    /// SIGSTOP. It stays among those that are asked, as nobody knows; browsers go elsewhere.
    pub async fn pause(&mut self, number: usize) {
        let member = self.members[number].as_mut().expect("it lives");
        member.process.pause().await;
        member.paused = true;
        self.point();
    }

    /// SIGCONT.
    pub async fn resume(&mut self, number: usize) {
        let member = self.members[number].as_mut().expect("it lives");
        member.process.resume().await;
        member.paused = false;
        self.point();
    }

    /// Everybody who lives.
    pub fn channels(&self) -> Vec<Channel> {
        self.members.iter().flatten().map(|member| member.channel.clone()).collect()
    }

    fn point(&self) {
        let awake = self.members.iter().flatten().filter(|member| !member.paused);
        let awake: Vec<SocketAddr> = awake.map(|member| member.web).collect();
        // With nobody there a browser meets a dead address, as it should.
        self.front.point_at(if awake.is_empty() { vec![dead()] } else { awake });
    }
}

/// A site's configuration for brokers that listen wherever there is room.
///
/// # Panics
/// When the text is not the site's.
pub fn on_any_ports(text: &str, site: &Site) -> String {
    let mut text = text.to_owned();
    let addresses = site.addresses();
    for (name, address) in [("grpc", addresses.grpc), ("web", addresses.web), ("ops", addresses.ops)] {
        let listener = format!("{name}: {{ address: \"{address}\" }}");
        assert!(text.contains(&listener), "{text}");
        text = text.replace(&listener, &format!("{name}: {{ address: \"127.0.0.1:0\" }}"));
    }
    text
}

/// The discard port, where nobody listens.
fn dead() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// Where a listener is, from the line that says so.
fn address(stderr: &str, listener: &str) -> SocketAddr {
    let line = stderr.lines().find(|line| line.contains("listening")).expect("it listens");
    let after = line.split(listener).nth(1).and_then(|rest| rest.split("127.0.0.1:").nth(1));
    let port: String = after.unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap_or_else(|_| panic!("no {listener} in {line}"))))
}
