//! A SaaS as its client sees it: read everything, add one thing.

use broker_client::Grant;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::saas::Product;

/// One SaaS at one address.
pub(super) struct Saas {
    pub(super) product: &'static Product,
    url: String,
    http: reqwest::Client,
}

/// What there is at the SaaS, and whose it is.
#[derive(Default)]
pub(super) struct Found {
    pub(super) account: String,
    pub(super) entries: Vec<String>,
}

impl Saas {
    /// `origin` without a slash at the end.
    pub(super) fn new(product: &'static Product, origin: &str, http: reqwest::Client) -> Saas {
        Saas { product, url: format!("{origin}{}", product.path), http }
    }

    /// Everything of the account; `None` when the SaaS does not take the token, `Err` says in a sentence what else is wrong.
    pub(super) async fn read(&self, grant: &Grant) -> Result<Option<Found>, String> {
        let Some(body) = self.send(self.http.get(&self.url), grant, StatusCode::OK).await? else {
            return Ok(None);
        };
        let entries = body[self.product.entries].as_array().into_iter().flatten();
        Ok(Some(Found {
            account: body["account"].as_str().unwrap_or_default().to_owned(),
            entries: entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect(),
        }))
    }

    /// Adds one entry; as [`read`](Self::read), but finds nothing.
    pub(super) async fn add(&self, grant: &Grant, text: &str) -> Result<Option<Found>, String> {
        let request = self.http.post(&self.url).json(&json!({ "text": text }));
        Ok(self.send(request, grant, StatusCode::CREATED).await?.map(|_| Found::default()))
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        grant: &Grant,
        expected: StatusCode,
    ) -> Result<Option<Value>, String> {
        let name = self.product.name;
        let unreachable =
            |error: reqwest::Error| format!("{name} cannot be reached: {}", error.without_url());
        let request = request.header(&grant.header_name, grant.header_value().as_str());
        let response = request.send().await.map_err(unreachable)?;
        match response.status() {
            status if status == expected => response.json().await.map(Some).map_err(unreachable),
            StatusCode::UNAUTHORIZED => Ok(None),
            status => Err(format!("{name} did not do it: {status}")),
        }
    }
}
