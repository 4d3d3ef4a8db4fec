use crate::{error::PageError, layout::Page, state::ConsoleState};
use axum::{extract::FromRequestParts, http::request::Parts};
use maud::{Markup, html};
use riad_core::{Error, TenantPass};

pub(crate) struct TenantSession {
    pub pass: TenantPass,
}
impl TenantSession {
    pub fn csrf_field(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=""; }
    }
    pub async fn authorize_again(&self, _state: &ConsoleState) -> riad_core::Result<TenantPass> {
        Ok(self.pass.clone())
    }
    pub fn page(&self, _page: Page, body: Markup) -> Markup {
        body
    }
}
impl<S: Send + Sync> FromRequestParts<S> for TenantSession {
    type Rejection = PageError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let pass = parts.extensions.remove();
        Ok(Self {
            pass: pass.ok_or_else(|| Error::internal("no pass"))?,
        })
    }
}
