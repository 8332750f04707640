//! The links a user has to open, in each of the shapes that MCP knows.

use super::answer::{Answer, RpcError};
use super::peer::{Era, Peer};
use crate::{BatchConsentRequired, BatchRequest, ConsentRequired, ConsentUrl};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// Stands between the parts of a name that is made of several.
const AND: &str = "+";

/// Links a user has to open before a call can be served: one for each system that is not connected, or one that leads through
/// all of them.
#[derive(Clone, Debug)]
pub struct Prompt {
    links: Vec<Link>,
}

/// What is opened.
#[derive(Clone, Debug)]
struct Link {
    name: String,
    url: ConsentUrl,
    message: String,
    reason: Option<&'static str>,
    expire_time: SystemTime,
    /// What it connects, in order; none twice.
    needs: Vec<Need>,
}

#[derive(Clone, Debug)]
struct Need {
    name: String,
    consent_id: String,
    url: ConsentUrl,
}

impl Prompt {
    /// One link. `name` says which system it connects, in your own words, such as the provider's name at the broker; it tells
    /// this link from others in the same prompt.
    pub fn new(name: impl Into<String>, consent: &ConsentRequired) -> Self {
        Self { links: Vec::new() }.and(name, consent)
    }

    /// The one link of a batch: the page that leads through everything that is missing. Its parts are named after their
    /// providers.
    pub fn batch(request: &BatchRequest, required: &BatchConsentRequired) -> Self {
        let mut needs: Vec<Need> = Vec::new();
        let missing = request.providers().zip(&required.items);
        let missing = missing.filter_map(|(provider, item)| Some((provider, item.as_ref()?)));
        let mut reason = None;
        for (provider, consent) in missing {
            reason = reason.or(Some(consent.reason.as_str_name()));
            // Two items may need the same one.
            if needs.iter().all(|need| need.consent_id != consent.consent_id) {
                needs.push(Need::new(provider, consent));
            }
        }
        let link = Link {
            name: joined(needs.iter().map(|need| need.name.as_str())),
            url: required.url.clone(),
            message: required.message.clone(),
            reason,
            expire_time: required.expire_time,
            needs,
        };
        Self { links: vec![link] }
    }

    /// One more link. A name that is there already is replaced.
    pub fn and(mut self, name: impl Into<String>, consent: &ConsentRequired) -> Self {
        let name = name.into();
        self.links.retain(|link| link.name != name);
        self.links.push(Link {
            needs: vec![Need::new(&name, consent)],
            name,
            url: consent.url.clone(),
            message: consent.message.clone(),
            reason: Some(consent.reason.as_str_name()),
            expire_time: consent.expire_time,
        });
        self
    }

    /// The consents behind the links, by id.
    pub fn consent_ids(&self) -> impl Iterator<Item = &str> {
        self.needs().map(|need| need.consent_id.as_str())
    }

    fn needs(&self) -> impl Iterator<Item = &Need> {
        self.links.iter().flat_map(|link| &link.needs)
    }

    /// When the first of the links stops working.
    pub(super) fn expire_time(&self) -> SystemTime {
        self.links.iter().map(|link| link.expire_time).min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// What this client understands; `request_state` goes along where the client calls again.
    pub fn answer(&self, peer: Peer, request_state: &str) -> Answer {
        match peer.era {
            Era::RoundTrips if peer.opens_links => Answer::Result(self.input_required(request_state)),
            Era::Errors if peer.opens_links => Answer::Error(self.url_elicitation_required()),
            _ => self.text(peer),
        }
    }

    /// MCP 2026-07-28: the result `input_required` of a multi round-trip request.
    pub fn input_required(&self, request_state: &str) -> Value {
        let request = |link: &Link| {
            let params = json!({ "mode": "url", "url": link.url.expose(), "message": link.message });
            (link.name.clone(), json!({ "method": "elicitation/create", "params": params }))
        };
        let requests: Map<String, Value> = self.links.iter().map(request).collect();
        json!({ "resultType": "input_required", "inputRequests": requests, "requestState": request_state })
    }

    /// MCP 2025-11-25: the error `URLElicitationRequiredError`. An elicitation's id says which consents it is about:
    /// [`consents_of`].
    pub fn url_elicitation_required(&self) -> RpcError {
        let elicitation = |link: &Link| {
            json!({
                "mode": "url",
                "elicitationId": joined(link.needs.iter().map(|need| need.consent_id.as_str())),
                "url": link.url.expose(),
                "message": link.message,
            })
        };
        let elicitations: Vec<Value> = self.links.iter().map(elicitation).collect();
        RpcError {
            code: -32042,
            message: "The user has to open a link first.".to_owned(),
            data: json!({ "elicitations": elicitations }),
        }
    }

    /// For clients that open no links by themselves: a result whose text the user can read.
    fn text(&self, peer: Peer) -> Answer {
        let line =
            |link: &Link| format!("{} Open this link, then ask again: {}", link.message, link.url.expose());
        let lines: Vec<String> = self.links.iter().map(line).collect();
        Answer::text(&lines.join("\n"), self.links.iter().find_map(|link| link.reason), peer)
    }

    /// The body of a gateway's answer with status 401, for callers that speak plain HTTP: a link for each system by itself.
    /// Where one needs several, its link is the page that leads through them.
    pub fn unauthorized(&self) -> Value {
        let mut names: Vec<&str> = Vec::new();
        let mut urls = Map::new();
        for (link, need) in self.links.iter().flat_map(|link| link.needs.iter().map(move |need| (link, need)))
        {
            let several = urls.contains_key(&need.name);
            let url = if several { &link.url } else { &need.url };
            urls.insert(need.name.clone(), url.expose().into());
            if !several {
                names.push(&need.name);
            }
        }
        json!({
            "error": "McpAuthRequiredError",
            "message": format!("The user has to connect {} first.", names.join(", ")),
            "server_names": names,
            "authorization_urls": urls,
        })
    }
}

impl Need {
    fn new(name: &str, consent: &ConsentRequired) -> Self {
        Self { name: name.to_owned(), consent_id: consent.consent_id.clone(), url: consent.url.clone() }
    }
}

/// The consents that an elicitation of [`Prompt::url_elicitation_required`] is about: it is over when all of them are.
pub fn consents_of(elicitation_id: &str) -> impl Iterator<Item = &str> {
    elicitation_id.split(AND)
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut parts: Vec<&str> = parts.collect();
    parts.dedup();
    parts.join(AND)
}
