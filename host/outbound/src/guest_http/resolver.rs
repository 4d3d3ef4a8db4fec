//! Looking names up so that what is checked is what is connected to: the HTTP client gets only addresses that have passed, and asks no
//! other resolver. A name whose answer changes between two look-ups gains nothing by it.

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Finds the addresses of a name.
#[async_trait]
pub trait LookUp: Send + Sync {
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the operating system.
pub struct SystemLookUp;

#[async_trait]
impl LookUp for SystemLookUp {
    async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

pub(crate) struct CheckedResolver {
    look_up: Arc<dyn LookUp>,
    permits: fn(IpAddr) -> bool,
}

/// All addresses of a name were refused.
#[derive(Debug)]
pub(super) struct PrivateAddress;

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has no public address")
    }
}

impl std::error::Error for PrivateAddress {}

impl CheckedResolver {
    pub(super) fn new(look_up: Arc<dyn LookUp>, permits: fn(IpAddr) -> bool) -> Self {
        Self { look_up, permits }
    }

    pub(super) fn permits(&self) -> fn(IpAddr) -> bool {
        self.permits
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (look_up, permits) = (Arc::clone(&self.look_up), self.permits);
        Box::pin(async move {
            let mut found = look_up.look_up(name.as_str()).await?;
            let any = !found.is_empty();
            found.retain(|address| permits(*address));
            if any && found.is_empty() {
                return Err(PrivateAddress.into());
            }
            // The client puts the URL's port in the place of 0.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
