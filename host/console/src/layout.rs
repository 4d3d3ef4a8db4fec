//! The page around all pages: head, navigation, footer. Not here: what stands in a page.

use crate::assets;
use maud::{DOCTYPE, Markup, html};
use riad_core::{
    TenantPass,
    grants::{Access, Scope},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Playground,
    Documents,
    Plugins,
    Adapters,
    Usage,
    Keys,
    Receipts,
    Overview,
    Tenants,
    Fairness,
    Engine,
    Rooms,
    Ledger,
    Plans,
    Audit,
    Scale,
}

/// The operator's first page.
pub(crate) const OPERATOR_HOME: &str = "/console/overview";

/// Whose page it is.
pub(crate) enum Viewer<'a> {
    Tenant(&'a TenantPass),
    Operator,
}

impl Page {
    const TENANT: [Self; 7] = [
        Self::Playground,
        Self::Documents,
        Self::Plugins,
        Self::Adapters,
        Self::Usage,
        Self::Receipts,
        Self::Keys,
    ];

    const OPERATOR: [Self; 9] = [
        Self::Overview,
        Self::Tenants,
        Self::Fairness,
        Self::Engine,
        Self::Rooms,
        Self::Ledger,
        Self::Plans,
        Self::Audit,
        Self::Scale,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Playground => "Playground",
            Self::Documents => "Documents",
            Self::Plugins => "Plugins",
            Self::Adapters => "Adapters",
            Self::Usage => "Usage",
            Self::Keys => "Keys",
            Self::Receipts => "Receipts",
            Self::Overview => "Overview",
            Self::Tenants => "Tenants",
            Self::Fairness => "Fairness",
            Self::Engine => "Engine",
            Self::Rooms => "Rooms",
            Self::Ledger => "Ledger",
            Self::Plans => "Plans",
            Self::Audit => "Audit",
            Self::Scale => "Scale",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Playground => "/console/playground",
            Self::Documents => "/console/documents",
            Self::Plugins => "/console/plugins",
            Self::Adapters => "/console/adapters",
            Self::Usage => "/console/usage",
            Self::Keys => "/console/keys",
            Self::Receipts => "/console/receipts",
            Self::Overview => OPERATOR_HOME,
            Self::Tenants => "/console/tenants",
            Self::Fairness => "/console/fairness",
            Self::Engine => "/console/engine",
            Self::Rooms => "/console/rooms",
            Self::Ledger => "/console/ledger",
            Self::Plans => "/console/plans",
            Self::Audit => "/console/audit",
            Self::Scale => "/console/scale",
        }
    }

    /// The script that the page has besides the one of all pages.
    fn script(self) -> Option<&'static str> {
        match self {
            Self::Playground => Some("playground.js"),
            Self::Documents => Some("documents.js"),
            Self::Plugins => Some("plugins.js"),
            Self::Adapters => Some("adapters.js"),
            Self::Overview => Some("overview.js"),
            Self::Usage | Self::Keys | Self::Receipts | Self::Tenants => None,
            Self::Fairness | Self::Engine | Self::Rooms | Self::Ledger | Self::Plans | Self::Audit | Self::Scale => {
                None
            }
        }
    }

    /// What a tenant's key needs to see it; the operator's pages, none may.
    fn needs(self) -> Option<(Scope, Access)> {
        Some(match self {
            Self::Playground => (Scope::Chat, Access::Read),
            Self::Documents => (Scope::Documents, Access::Read),
            Self::Plugins => (Scope::Plugins, Access::Read),
            Self::Adapters => (Scope::Adapters, Access::Read),
            Self::Usage | Self::Receipts => (Scope::Usage, Access::Read),
            Self::Keys => (Scope::Usage, Access::Write),
            Self::Overview | Self::Tenants | Self::Fairness | Self::Engine | Self::Rooms => return None,
            Self::Ledger | Self::Plans | Self::Audit | Self::Scale => return None,
        })
    }
}

/// The first page that the key may see.
pub(crate) fn home(pass: &TenantPass) -> Option<&'static str> {
    visible(pass).next().map(Page::path)
}

fn visible(pass: &TenantPass) -> impl Iterator<Item = Page> {
    let may_see = |page: &Page| {
        page.needs()
            .is_some_and(|(scope, access)| pass.grants().allow(scope, access))
    };
    Page::TENANT.into_iter().filter(may_see)
}

pub(crate) fn page(page: Page, viewer: &Viewer<'_>, csrf: &Markup, body: &Markup) -> Markup {
    document(page.title(), page.script(), &navigation(Some(page), viewer, csrf), body)
}

/// What went wrong, for somebody with a session: the other pages are a click away.
pub(crate) fn failure_for(viewer: &Viewer<'_>, csrf: &Markup, title: &str, message: &str) -> Markup {
    let body = html! { p.notice.error role="alert" { (message) } };
    document(title, None, &navigation(None, viewer, csrf), &body)
}

fn navigation(current: Option<Page>, viewer: &Viewer<'_>, csrf: &Markup) -> Markup {
    let links: Vec<Page> = match viewer {
        Viewer::Tenant(pass) => visible(pass).collect(),
        Viewer::Operator => Page::OPERATOR.into(),
    };
    html! {
        nav.main aria-label="Pages of the console" {
            ul { @for link in links {
                li { a href=(link.path()) aria-current=[(Some(link) == current).then_some("page")] { (link.title()) } }
            } }
        }
        div.who {
            @match viewer {
                Viewer::Tenant(pass) => span { strong { (pass.tenant()) } " · " (pass.grants().role) },
                Viewer::Operator => strong { "Operator" },
            }
            form method="post" action="/console/sign-out" { (csrf) button type="submit" { "Sign out" } }
        }
    }
}

/// A page for somebody without a session, or with one that does not matter.
pub(crate) fn plain(title: &str, body: &Markup) -> Markup {
    document(title, None, &html! {}, body)
}

pub(crate) fn failure(title: &str, message: &str) -> Markup {
    plain(
        title,
        &html! {
            p.notice.error role="alert" { (message) }
            p { a href="/console" { "To the console" } }
        },
    )
}

fn document(title: &str, script: Option<&str>, navigation: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Riad" }
                link rel="icon" href=(assets::url("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::url("console.css"));
                script type="module" src=(assets::url("console.js")) {}
                @if let Some(script) = script { script type="module" src=(assets::url(script)) {} }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/console" { "Riad" }
                    (navigation)
                }
                main #main tabindex="-1" {
                    h1 { (title) }
                    (body)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::{
        grants::{Grants, KeyRole},
        ports::KeyRecord,
    };

    fn pass(role: KeyRole, scopes: &[Scope]) -> TenantPass {
        riad_fakes::pass(KeyRecord {
            grants: Grants {
                role,
                scopes: scopes.iter().copied().collect(),
            },
            ..riad_fakes::key(1)
        })
    }

    #[test]
    fn a_key_sees_the_pages_of_its_scopes() {
        let links = |pass: &TenantPass| visible(pass).map(Page::title).collect::<Vec<_>>();
        assert_eq!(links(&pass(KeyRole::Admin, &Scope::ALL)).len(), Page::TENANT.len());
        assert_eq!(
            links(&pass(KeyRole::User, &[Scope::Chat, Scope::Documents])),
            ["Playground", "Documents"]
        );
        assert_eq!(links(&pass(KeyRole::ReadOnly, &[Scope::Usage])), ["Usage", "Receipts"]);
        assert_eq!(home(&pass(KeyRole::ReadOnly, &[Scope::Usage])), Some("/console/usage"));
        assert_eq!(home(&pass(KeyRole::Admin, &[])), None);
    }

    #[test]
    fn a_page_loads_only_what_its_policy_allows() {
        let pass = pass(KeyRole::Admin, &Scope::ALL);
        let tenant = Page::TENANT.map(|page| (page, Viewer::Tenant(&pass)));
        let operator = Page::OPERATOR.map(|page| (page, Viewer::Operator));
        for (shown, viewer) in tenant.into_iter().chain(operator) {
            let html = page(shown, &viewer, &html! {}, &html! { p { "x" } }).into_string();
            assert_eq!(html.matches("<h1>").count(), 1, "{html}");
            assert_eq!(html.matches("aria-current=\"page\"").count(), 1, "{html}");
            assert!(!html.contains("style=") && !html.contains("onclick"), "{html}");
            // Assets that are not there have no address.
            assert!(!html.contains("src=\"\"") && !html.contains("href=\"\""), "{html}");
        }
    }

    #[test]
    fn a_message_is_text() {
        let html = failure("x", "<script>alert(1)</script>").into_string();
        assert!(!html.contains("<script>alert"), "{html}");
    }
}
