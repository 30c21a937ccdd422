//! The least that an authenticated request costs.

use olmstead_benches::run::Measured;

use super::CLIENTS;
use crate::crew::Crew;

pub(super) async fn whoami(crew: &mut Crew) -> Measured {
    let users = crew.users(CLIENTS).await;
    let count = crew.amount(8_000, 4_000);
    let (measured, _) = crew.meter.measure(CLIENTS, 0..count, |n| users[n % CLIENTS].get("/account/whoami")).await;
    measured
}
