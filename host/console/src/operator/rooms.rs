//! Rooms on the disk: how large each is, against its bound. Not here: what is in them, which the operator's key does not open.

use crate::{
    error::PageResult,
    layout::Page,
    parts::{self, format},
    session::OperatorSession,
    state::ConsoleState,
};
use axum::{Router, extract::State, routing::get};
use maud::{Markup, html};
use riad_core::{
    TenantId,
    policy::TenantLimits,
    ports::{Gauges, StoredBytes},
};
use std::collections::HashMap;

/// Rows of the table.
const SHOWN: usize = 200;

pub(crate) fn routes() -> Router<ConsoleState> {
    Router::new().route("/console/rooms", get(show))
}

async fn show(State(state): State<ConsoleState>, session: OperatorSession) -> PageResult<Markup> {
    let (services, pass) = (&state.services, &session.pass);
    let gauges = services.scale().gauges(pass);
    let stored = services.scale().stored(pass).await?;
    let tenants = services.tenants().list(pass).await?;
    let bounds: HashMap<TenantId, TenantLimits> = tenants
        .into_iter()
        .map(|tenant| (tenant.id, tenant.policy.limits))
        .collect();
    let bound = |tenant: &TenantId| bounds.get(tenant).and_then(|limits| limits.stored_bytes);
    let all = services.limits().room_bytes;
    let mut rooms: Vec<_> = stored
        .into_iter()
        .map(|room| {
            let most = bound(&room.tenant).unwrap_or(all);
            (room, most)
        })
        .collect();
    rooms.sort_by_key(|(room, _)| std::cmp::Reverse(room.bytes));
    Ok(session.page(Page::Rooms, page(&gauges, &rooms)))
}

fn page(gauges: &Gauges, rooms: &[(StoredBytes, u64)]) -> Markup {
    let bytes = rooms
        .iter()
        .fold(0_u64, |sum, (room, _)| sum.saturating_add(room.bytes));
    html! {
        (parts::facts(&[
            ("Rooms", format::count(rooms.len() as u64)),
            ("On the disk", format::bytes(bytes)),
            ("Open", format::count(gauges.rooms_open)),
            ("Memory of open rooms", format::bytes(gauges.open_room_bytes)),
            ("Oldest change without a snapshot", match gauges.unsaved {
                Some(age) => format::duration(age),
                None => "rooms are not saved by themselves".to_owned(),
            }),
        ]))
        @if rooms.is_empty() {
            (parts::empty("No rooms yet", &html! { "A tenant's room is made with its first document, plugin, adapter or setting." }))
        } @else {
            @if rooms.len() > SHOWN { p.muted { "The " (SHOWN) " largest of " (format::count(rooms.len() as u64)) "." } }
            div.scroll tabindex="0" role="region" aria-label="Table of rooms" { table {
                thead { tr {
                    th scope="col" { "Tenant" } th.number scope="col" { "On the disk" } th.number scope="col" { "May store" } th.number scope="col" { "Full" }
                } }
                tbody { @for (room, most) in rooms.iter().take(SHOWN) {
                    tr {
                        th scope="row" { a href={ "/console/tenants/" (room.tenant) } { (room.tenant) } }
                        td.number { (format::bytes(room.bytes)) }
                        td.number { (format::bytes(*most)) }
                        td.number { (format::share(room.bytes, *most)) }
                    }
                } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use riad_core::Account;

    #[test]
    fn a_room_stands_beside_its_bound() {
        let room = StoredBytes {
            account: Account::new(1),
            tenant: "acme".parse().unwrap(),
            bytes: 512,
        };
        let html = page(&Gauges::default(), &[(room, 1024)]).into_string();
        assert!(html.contains("acme") && html.contains("50 %"), "{html}");
        assert!(page(&Gauges::default(), &[]).into_string().contains("No rooms yet"));
    }
}
