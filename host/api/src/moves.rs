//! The steps of moving a tenant from one cell to another. Not here: their order (`riad cell move`).

use crate::{
    auth::Operator,
    body::{self, JsonBody, PathParts},
    error::{ApiResult, Failures},
    state::AppState,
};
use axum::{Json, extract::State, http::StatusCode};
use riad_api_types::{
    moves::{
        AbortedMove, ArrivingTenant, Cell, ComingRoom, EndedMove, LeavingTenant, MoveEnd, NewMove, PrefetchedRoom,
        SavedRoom,
    },
    tenants::Tenant,
};
use riad_core::{Error, slot::Slot};

/// This server among the cells
#[utoipa::path(get, path = "/operator/v1/cell", tag = "operator", security(("operator_key" = [])),
    responses((status = 200, body = Cell), Failures))]
pub(crate) async fn get_cell(State(state): State<AppState>, Operator(operator): Operator) -> ApiResult<Json<Cell>> {
    let cell = state.services.moves().state(&operator).await?;
    Ok(Json(Cell {
        object: "cell".into(),
        name: cell.name.into(),
        slots: ranges(&cell.slots),
        moves: cell.moves.into_iter().map(Into::into).collect(),
    }))
}

/// Save a tenant's room in the object store now
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/snapshot", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = SavedRoom), Failures))]
pub(crate) async fn save_room(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<SavedRoom>> {
    let tenant = body::parse_id("tenant", &id)?;
    Ok(Json(SavedRoom {
        object: "room.snapshot".into(),
        tenant: id,
        saved: state.services.moves().save(&operator, &tenant).await?,
    }))
}

/// Begin to move a tenant to another cell
///
/// From then on its room takes no changes (503), and is saved. Send the answer to the other cell.
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/move", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = NewMove, responses((status = 200, body = LeavingTenant), Failures))]
pub(crate) async fn begin_move(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<NewMove>,
) -> ApiResult<Json<LeavingTenant>> {
    let id = body::parse_id("tenant", &id)?;
    Ok(Json(LeavingTenant {
        object: "tenant.leaving".into(),
        tenant: state.services.moves().begin(&operator, &id, &body.to).await?,
    }))
}

/// Fetch the room of a tenant that will come from another cell
///
/// Before the move begins there, so that changes are refused for a shorter time: what has not changed since then is not fetched again.
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/move/prefetch", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = ComingRoom, responses((status = 200, body = PrefetchedRoom), Failures))]
pub(crate) async fn prefetch_room(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<ComingRoom>,
) -> ApiResult<Json<PrefetchedRoom>> {
    let tenant = body::parse_id("tenant", &id)?;
    let moves = state.services.moves();
    Ok(Json(PrefetchedRoom {
        object: "room.prefetched".into(),
        tenant: id,
        bytes: moves.prefetch(&operator, &tenant, &body.from, &body.saved).await?,
    }))
}

/// Take a tenant that comes from another cell
///
/// Its room is restored, and it is served from then on, whatever the map says.
#[utoipa::path(put, path = "/operator/v1/tenants/{id}/move", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = ArrivingTenant, responses((status = 201, body = Tenant), Failures))]
pub(crate) async fn receive_move(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<ArrivingTenant>,
) -> ApiResult<(StatusCode, Json<Tenant>)> {
    if body.tenant.id.as_str() != id {
        return Err(Error::invalid(format!(
            "the path names the tenant \"{id}\", the body the tenant \"{}\"; send the one to the path of its own",
            body.tenant.id
        ))
        .into());
    }
    let tenant = state
        .services
        .moves()
        .receive(&operator, &body.from, &body.tenant)
        .await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

/// Give up a move before the map says that the tenant has moved
#[utoipa::path(delete, path = "/operator/v1/tenants/{id}/move", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), responses((status = 200, body = AbortedMove), Failures))]
pub(crate) async fn abort_move(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
) -> ApiResult<Json<AbortedMove>> {
    let tenant = body::parse_id("tenant", &id)?;
    state.services.moves().abort(&operator, &tenant).await?;
    Ok(Json(AbortedMove {
        object: "tenant.move.aborted".into(),
        id,
    }))
}

/// End a move, first in the old cell, then with its answer in the new one
///
/// The old cell refuses the tenant's requests from then on, ends its ledger, and removes its room.
#[utoipa::path(post, path = "/operator/v1/tenants/{id}/move/finish", tag = "operator", security(("operator_key" = [])),
    params(("id" = String, Path)), request_body = MoveEnd, responses((status = 200, body = EndedMove), Failures))]
pub(crate) async fn finish_move(
    State(state): State<AppState>,
    Operator(operator): Operator,
    PathParts(id): PathParts<String>,
    JsonBody(body): JsonBody<MoveEnd>,
) -> ApiResult<Json<EndedMove>> {
    let tenant = body::parse_id("tenant", &id)?;
    let moves = state.services.moves();
    let closed = match body.closed {
        Some(closed) => {
            moves.finish(&operator, &tenant, &closed).await?;
            closed
        }
        None => moves.leave(&operator, &tenant).await?,
    };
    Ok(Json(EndedMove {
        object: "tenant.moved".into(),
        id,
        closed,
    }))
}

/// Of slots in order.
fn ranges(slots: &[Slot]) -> Vec<(u16, u16)> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for slot in slots {
        let number = slot.number();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_in_a_row_are_one_range() {
        let slots: Vec<Slot> = Slot::all()
            .filter(|slot| ![3, 4, 16_383].contains(&slot.number()))
            .collect();
        assert_eq!(ranges(&slots), [(0, 2), (5, 16_382)]);
        assert!(ranges(&[]).is_empty());
    }
}
