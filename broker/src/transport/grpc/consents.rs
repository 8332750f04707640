//! `ConsentService`.

use super::{convert, denied, gate::Principal, status::to_status};
use crate::{
    domain::{Consent, Refusal},
    usecase::{Caller, Rooms, consent_changed, get_consent},
};
use broker_proto::v1::{self, consent_service_server::ConsentService};
use futures::Stream;
use std::{pin::Pin, sync::Arc};
use tonic::{Request, Response, Status};

pub(super) struct Consents(pub(super) Arc<Rooms>);

type Watch = Pin<Box<dyn Stream<Item = Result<v1::WatchConsentResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn get_consent(
        &self,
        request: Request<v1::GetConsentRequest>,
    ) -> Result<Response<v1::GetConsentResponse>, Status> {
        let principal = Principal::of(&request)?;
        let caller = principal.clone().caller().map_err(|r| to_status(&r))?;
        let request = request.into_inner();
        let found = self.find(&caller, &request.consent_id, request.assertion.as_deref()).await;
        let consent = denied::answer(&self.0, &principal, found).await?;
        Ok(Response::new(v1::GetConsentResponse { consent: Some(message(&self.0, &consent)) }))
    }

    type WatchConsentStream = Watch;

    async fn watch_consent(
        &self,
        request: Request<v1::WatchConsentRequest>,
    ) -> Result<Response<Watch>, Status> {
        let principal = Principal::of(&request)?;
        let caller = principal.clone().caller().map_err(|r| to_status(&r))?;
        let request = request.into_inner();
        let found = self.find(&caller, &request.consent_id, request.assertion.as_deref()).await;
        let first = denied::answer(&self.0, &principal, found).await?;
        Ok(Response::new(watch(Arc::clone(&self.0), caller, first)))
    }
}

impl Consents {
    async fn find(&self, caller: &Caller, id: &str, assertion: Option<&str>) -> Result<Consent, Refusal> {
        get_consent(&self.0, caller, &convert::consent_id(id)?, assertion.filter(|a| !a.is_empty())).await
    }
}

enum Next {
    Say(Consent),
    Wait(Consent),
    End,
}

/// The state now, then each change, until the terminal one.
fn watch(rooms: Arc<Rooms>, caller: Caller, first: Consent) -> Watch {
    Box::pin(futures::stream::unfold(Next::Say(first), move |next| {
        let (rooms, caller) = (Arc::clone(&rooms), caller.clone());
        async move {
            let consent = match next {
                Next::Say(consent) => consent,
                Next::Wait(seen) => match consent_changed(&rooms, &caller, &seen.id, seen.version).await {
                    Ok(consent) => consent,
                    Err(refusal) => return Some((Err(to_status(&refusal)), Next::End)),
                },
                Next::End => return None,
            };
            let response = v1::WatchConsentResponse { consent: Some(message(&rooms, &consent)) };
            let next = if consent.state.is_terminal() { Next::End } else { Next::Wait(consent) };
            Some((Ok(response), next))
        }
    }))
}

fn message(rooms: &Rooms, consent: &Consent) -> v1::Consent {
    convert::consent(consent, rooms.consent_url(&consent.id))
}
