//! The command line of cells: the routing map and what follows from it, and moving tenants.

use super::access::OperatorKey;
use clap::{Args, Subcommand};
use riad_cells::{CellUrl, Proxy, SlotRange};
use riad_core::{CellName, Error, Result, TenantId};
use std::{net::SocketAddr, path::PathBuf, str::FromStr};

#[derive(Debug, Subcommand)]
pub enum CellCommand {
    /// Make a map in which each cell has as many slots as the others; the first one is the default cell
    Plan {
        #[command(flatten)]
        map: MapPlace,
        /// The cells, as in a=http://10.0.0.1:8080,b=http://10.0.0.2:8080
        #[arg(long, required = true, value_name = "NAME=URL", value_delimiter = ',')]
        cells: Vec<PlannedCell>,
    },
    /// Give slots to another cell; the data of their tenants stay where they are
    Assign {
        #[command(flatten)]
        map: MapPlace,
        /// As in 0-99,200
        #[arg(required = true, num_args = 1, value_delimiter = ',')]
        slots: Vec<SlotRange>,
        /// A cell of the map
        cell: CellName,
    },
    /// Show the cells and their slots, or the cell of one tenant
    Show {
        #[command(flatten)]
        map: MapPlace,
        /// Only where this tenant belongs, whether there is such a tenant or not
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Move a tenant, and the others of its slot, to another cell while both serve; the same command again goes on where it has stopped
    Move(MoveOptions),
    /// Give up a move that has not changed the map yet
    Abort {
        #[command(flatten)]
        map: MapPlace,
        /// A tenant that moves
        tenant: TenantId,
        #[command(flatten)]
        key: OperatorKey,
    },
    /// Print the configuration of a proxy that routes requests to the cells by their keys
    Routes {
        #[command(flatten)]
        map: MapPlace,
        /// haproxy, nginx, envoy or gateway (the Gateway API of Kubernetes)
        #[arg(long = "for", value_name = "PROXY")]
        proxy: Proxy,
        /// Where the proxy listens
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
        listen: SocketAddr,
        /// The claim of an identity provider's tokens that names the tenant, for haproxy [config: auth.tenant_claim]
        #[arg(long, value_name = "CLAIM", default_value = "tenant")]
        tenant_claim: String,
        /// What clients call the gateway
        #[arg(long, value_name = "NAME", default_value = "riad.example")]
        hostname: String,
    },
}

#[derive(Debug, Args)]
pub struct MoveOptions {
    #[command(flatten)]
    pub map: MapPlace,
    /// A tenant; all tenants of its slot go with it
    pub tenant: TenantId,
    /// A cell of the map
    #[arg(long, value_name = "CELL")]
    pub to: CellName,
    /// A command for the shell that makes the proxies follow the map, run as soon as the new cell serves the tenant
    #[arg(long, value_name = "COMMAND")]
    pub proxies: Option<String>,
    #[command(flatten)]
    pub key: OperatorKey,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where the map is.
#[derive(Debug, Args)]
pub struct MapPlace {
    /// The file with the map [config: cell.map]
    #[arg(
        long = "map",
        value_name = "FILE",
        env = "RIAD_CELL__MAP",
        hide_env_values = true,
        default_value = "cells.toml"
    )]
    pub file: PathBuf,
}

/// A cell that a map is planned for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCell {
    pub name: CellName,
    pub url: CellUrl,
}

impl FromStr for PlannedCell {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (name, url) = text
            .split_once('=')
            .ok_or_else(|| Error::invalid("a cell is a name and a URL, as in a=http://10.0.0.1:8080"))?;
        Ok(Self {
            name: name.parse()?,
            url: url.parse()?,
        })
    }
}
