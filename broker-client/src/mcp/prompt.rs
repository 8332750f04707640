//! The links a user has to open, in each of the shapes that MCP knows.

use super::answer::{Answer, RpcError};
use super::peer::{Era, Peer};
use crate::{ConsentRequired, ConsentUrl};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// Links a user has to open before a call can be served: one for each system that is not connected.
#[derive(Clone, Debug)]
pub struct Prompt {
    needs: Vec<Need>,
}

#[derive(Clone, Debug)]
struct Need {
    name: String,
    consent_id: String,
    url: ConsentUrl,
    message: String,
    reason: &'static str,
    expire_time: SystemTime,
}

impl Prompt {
    /// One link. `name` says which system it connects, in your own words, such as the provider's name at the broker; it tells
    /// this link from others in the same prompt.
    pub fn new(name: impl Into<String>, consent: &ConsentRequired) -> Self {
        Self { needs: Vec::new() }.and(name, consent)
    }

    /// One more link. A name that is there already is replaced.
    pub fn and(mut self, name: impl Into<String>, consent: &ConsentRequired) -> Self {
        let name = name.into();
        self.needs.retain(|need| need.name != name);
        self.needs.push(Need {
            name,
            consent_id: consent.consent_id.clone(),
            url: consent.url.clone(),
            message: consent.message.clone(),
            reason: consent.reason.as_str_name(),
            expire_time: consent.expire_time,
        });
        self
    }

    /// The consents behind the links, by id.
    pub fn consent_ids(&self) -> impl Iterator<Item = &str> {
        self.needs.iter().map(|need| need.consent_id.as_str())
    }

    /// When the first of the links stops working.
    pub(super) fn expire_time(&self) -> SystemTime {
        self.needs.iter().map(|need| need.expire_time).min().unwrap_or(SystemTime::UNIX_EPOCH)
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
        let requests: Map<String, Value> = self
            .needs
            .iter()
            .map(|need| {
                let params = json!({ "mode": "url", "url": need.url.expose(), "message": need.message });
                (need.name.clone(), json!({ "method": "elicitation/create", "params": params }))
            })
            .collect();
        json!({ "resultType": "input_required", "inputRequests": requests, "requestState": request_state })
    }

    /// MCP 2025-11-25: the error `URLElicitationRequiredError`. The elicitation's id is the consent's.
    pub fn url_elicitation_required(&self) -> RpcError {
        let elicitations: Vec<Value> = self
            .needs
            .iter()
            .map(|need| {
                json!({
                    "mode": "url",
                    "elicitationId": need.consent_id,
                    "url": need.url.expose(),
                    "message": need.message,
                })
            })
            .collect();
        RpcError {
            code: -32042,
            message: "The user has to open a link first.".to_owned(),
            data: json!({ "elicitations": elicitations }),
        }
    }

    /// For clients that open no links by themselves: a result whose text the user can read.
    fn text(&self, peer: Peer) -> Answer {
        let line =
            |need: &Need| format!("{} Open this link, then ask again: {}", need.message, need.url.expose());
        let lines: Vec<String> = self.needs.iter().map(line).collect();
        Answer::text(&lines.join("\n"), self.needs.first().map(|need| need.reason), peer)
    }

    /// The body of a gateway's answer with status 401, for callers that speak plain HTTP.
    pub fn unauthorized(&self) -> Value {
        let urls: Map<String, Value> =
            self.needs.iter().map(|need| (need.name.clone(), need.url.expose().into())).collect();
        let names: Vec<&str> = self.needs.iter().map(|need| need.name.as_str()).collect();
        json!({
            "error": "McpAuthRequiredError",
            "message": format!("The user has to connect {} first.", names.join(", ")),
            "server_names": names,
            "authorization_urls": urls,
        })
    }
}
