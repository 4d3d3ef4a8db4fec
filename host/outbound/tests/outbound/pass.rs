//! What a token opens, with a pass as it is made for a request: a tenant that is there now, and no former one.

use crate::issuer::{KeyFile, Opened, Signer, claims_with, ed25519, good_claims, now};
use riad_core::{
    Account, CellName, Error, ErrorKind, Secret, TenantPass,
    audit::Origin,
    grants::{Access, KeyRole, Scope},
    policy::{Budget, Policy},
    ports::Cells,
    slot::Slot,
    tenant::Tenant,
};
use riad_fakes::OneTenant;
use serde_json::{Value, json};

fn tenant(id: &str, created: u64) -> OneTenant {
    OneTenant::without_keys(first(id, created))
}

/// A tenant whose id no other had before.
fn first(id: &str, created: u64) -> Tenant {
    Tenant {
        id: id.parse().unwrap(),
        account: Account::new(7),
        name: "Acme".to_owned(),
        created,
        policy: Policy {
            weight: 3,
            ..Policy::default()
        },
        succeeds: false,
    }
}

struct Authorizer {
    signer: Signer,
    tokens: Opened,
}

impl Authorizer {
    fn new() -> Self {
        let signer = ed25519();
        let tokens = KeyFile::with(&[signer.jwk("k")]).open();
        Self { signer, tokens }
    }

    async fn authorize(&self, key_store: &OneTenant, claims: &Value) -> Result<TenantPass, Error> {
        let token = Secret::new(self.signer.token("k", claims));
        TenantPass::authorize(key_store, Some(&*self.tokens), None, &token, Origin::default(), now()).await
    }

    async fn refused(&self, key_store: &OneTenant, claims: &Value) {
        let error = self
            .authorize(key_store, claims)
            .await
            .expect_err("this token must open nothing");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
}

#[tokio::test]
async fn a_token_opens_its_tenant_with_the_tenants_account_and_policy() {
    let authorizer = Authorizer::new();
    let claims = claims_with("scope", json!("chat"));
    let pass = authorizer
        .authorize(&tenant("acme", now() - 60), &claims)
        .await
        .unwrap();
    assert_eq!((pass.tenant().as_str(), pass.account()), ("acme", Account::new(7)));
    assert_eq!((pass.policy().weight, pass.key_budget()), (3, &Budget::default()));
    assert_eq!(pass.grants().role, KeyRole::User);
    assert!(pass.key().as_str().starts_with("jwt_"));
    pass.require(Scope::Chat, Access::Write).unwrap();
    let error = pass.require(Scope::Documents, Access::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_token_for_a_tenant_that_does_not_exist_opens_nothing() {
    let authorizer = Authorizer::new();
    authorizer.refused(&tenant("other", 0), &good_claims()).await;
    authorizer
        .refused(&tenant("acme", 0), &claims_with("tenant", json!("acme2")))
        .await;
    authorizer.authorize(&tenant("acme", 0), &good_claims()).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_older_than_its_tenant_opens_nothing() {
    let authorizer = Authorizer::new();
    let made = now() - 100;
    let acme = tenant("acme", made);
    authorizer.refused(&acme, &claims_with("iat", json!(made - 1))).await;
    authorizer
        .refused(&acme, &claims_with("iat", json!(made as f64 - 0.5)))
        .await;
    authorizer
        .authorize(&acme, &claims_with("iat", json!(made)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_former_tenants_token_of_a_clock_that_is_ahead_opens_nothing() {
    let authorizer = Authorizer::new();
    // The leeway is 30 seconds: a token that was issued when the tenant was made may say so much more.
    let made = now() - 20;
    let successor = OneTenant::without_keys(Tenant {
        succeeds: true,
        ..first("acme", made)
    });
    for issued in [made - 1, made, made + 1, made + 30] {
        authorizer.refused(&successor, &claims_with("iat", json!(issued))).await;
    }
    let made = now() - 31;
    let successor = OneTenant::without_keys(Tenant {
        succeeds: true,
        ..first("acme", made)
    });
    authorizer
        .authorize(&successor, &claims_with("iat", json!(made + 31)))
        .await
        .unwrap();
}

#[tokio::test]
async fn without_an_identity_provider_a_token_is_an_unknown_key() {
    let authorizer = Authorizer::new();
    let token = Secret::new(authorizer.signer.token("k", &good_claims()));
    let error = TenantPass::authorize(&tenant("acme", 0), None, None, &token, Origin::default(), now())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

/// This server's cell has one slot.
struct OneSlot(Slot, CellName);

impl Cells for OneSlot {
    fn check(&self, slot: Slot) -> Result<(), Error> {
        match slot == self.0 {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Misdirected, "another cell's")),
        }
    }

    fn keep(&self, _slots: Vec<Slot>) {}

    fn owner(&self, _slot: Slot) -> CellName {
        self.1.clone()
    }

    fn name(&self) -> &CellName {
        &self.1
    }
}

#[tokio::test]
async fn a_token_of_another_cells_tenant_is_misdirected() {
    let authorizer = Authorizer::new();
    let opened = async |slot_of: &str, key_store: &OneTenant| {
        let cells = OneSlot(Slot::of(&slot_of.parse().unwrap()), "a".parse().unwrap());
        let token = Secret::new(authorizer.signer.token("k", &good_claims()));
        let tokens = Some(&*authorizer.tokens as _);
        let pass = TenantPass::authorize(key_store, tokens, Some(&cells), &token, Origin::default(), now()).await;
        pass.err().map(|error| error.kind())
    };
    assert_eq!(opened("acme", &tenant("acme", 0)).await, None);
    // Whether a tenant of this id is here or not.
    for key_store in [tenant("acme", 0), tenant("initech", 0)] {
        assert_eq!(opened("globex", &key_store).await, Some(ErrorKind::Misdirected));
    }
}

#[tokio::test]
async fn a_key_of_another_cells_slot_is_misdirected() {
    let own = Slot::of(&"tenant-1".parse().unwrap());
    let other = Slot::of(&"tenant-2".parse().unwrap());
    let opened = async |cell: Slot, key: String| {
        let (key_store, key) = (OneTenant::with_key(riad_fakes::key(1)), Secret::new(key));
        let pass = TenantPass::authorize(
            &key_store,
            None,
            Some(&OneSlot(cell, "a".parse().unwrap())),
            &key,
            Origin::default(),
            0,
        )
        .await;
        pass.err().map(|error| error.kind())
    };
    let key = |slot: Slot| format!("{}{}", slot.key_prefix(), "k".repeat(43));
    assert_eq!(opened(own, key(own)).await, None);
    assert_eq!(opened(own, "riad_sk_without_a_slot".into()).await, None);
    // What the key says comes before whose it is.
    assert_eq!(opened(own, key(other)).await, Some(ErrorKind::Misdirected));
    // A key that says a wrong slot, or none, opens nothing of another cell's either.
    assert_eq!(opened(other, key(other)).await, Some(ErrorKind::Misdirected));
    assert_eq!(
        opened(other, "riad_sk_without_a_slot".into()).await,
        Some(ErrorKind::Misdirected)
    );
}
