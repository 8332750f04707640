//! What was written where, and what must not be in it.

use broker_tests::sweep::Sweep;
use demo::browser::Page;

/// Where something was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Database,
    Log,
    /// Statuses and answers of RPCs, but for the grant itself.
    Rpc,
    /// HTML and headers, but for `Set-Cookie`.
    Page,
    Ops,
    CommandLine,
    /// What came to the collector of traces.
    Trace,
    /// What Redis was told and asked, and what it kept.
    Redis,
}

impl Place {
    pub const ALL: [Place; 8] = [
        Place::Database,
        Place::Log,
        Place::Rpc,
        Place::Page,
        Place::Ops,
        Place::CommandLine,
        Place::Trace,
        Place::Redis,
    ];
}

/// A secret, and where it may be all the same.
struct Secret {
    name: String,
    value: Vec<u8>,
    allowed: &'static [Place],
}

/// Everything collected.
#[derive(Default)]
pub struct Evidence {
    secrets: Vec<Secret>,
    written: Vec<(Place, String, Vec<u8>)>,
}

impl Evidence {
    pub fn secret(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.secret_but_in(&[], name, value);
    }

    pub fn secret_but_in(&mut self, allowed: &'static [Place], name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref().to_vec();
        if !self.secrets.iter().any(|known| known.value == value) {
            self.secrets.push(Secret { name: name.to_owned(), value, allowed });
        }
    }

    pub fn wrote(&mut self, place: Place, what: &str, bytes: impl AsRef<[u8]>) {
        self.written.push((place, what.to_owned(), bytes.as_ref().to_vec()));
    }

    /// A page of the broker's, or the provider's on the way: only what the broker's own pages say counts.
    pub fn page(&mut self, page: &Page, broker: &str) {
        if page.url.as_str().starts_with(broker) {
            let what = format!("page {:?}", page.title());
            let headers = page.headers().iter().filter(|(name, _)| *name != "set-cookie");
            let headers: Vec<u8> =
                headers.flat_map(|(_, value)| [value.as_bytes(), b"\n"].concat()).collect();
            self.wrote(Place::Page, &what, page.html());
            self.wrote(Place::Page, &what, headers);
        }
        for hop in &page.trail {
            // Made by the broker, unlike those that strangers put into an address here.
            let made = |value: &str| value.len() >= 43;
            let values = hop.url.query_pairs().filter(|(name, value)| name == "state" && made(value));
            // The page that sends a browser to the provider has to name its state.
            values.for_each(|(_, value)| self.secret_but_in(&[Place::Page], "state", value.as_bytes()));
        }
    }

    pub fn bytes_in(&self, place: Place) -> usize {
        self.written.iter().filter(|(at, ..)| *at == place).map(|(.., bytes)| bytes.len()).sum()
    }

    pub fn named(&self, name: &str) -> usize {
        self.secrets.iter().filter(|secret| secret.name.starts_with(name)).count()
    }

    /// Every secret that is somewhere it must not be.
    pub fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        for place in Place::ALL {
            let mut sweep = Sweep::default();
            let forbidden = self.secrets.iter().filter(|secret| !secret.allowed.contains(&place));
            forbidden.for_each(|secret| sweep.add(&secret.name, &secret.value));
            for (_, what, bytes) in self.written.iter().filter(|(at, ..)| *at == place) {
                found.extend(sweep.find(bytes).into_iter().map(|hit| format!("{place:?}, {what}: {hit}")));
            }
        }
        found
    }
}
