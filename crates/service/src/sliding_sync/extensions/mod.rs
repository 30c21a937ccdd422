//! The extensions: what is told besides rooms.

mod account_data;
mod e2ee;
mod ephemeral;
mod to_device;

pub(super) use self::e2ee::since as e2ee_since;
use super::{look::Look, response::Extensions, rooms::Scope, told::Extensions as Reached};
use crate::Result;

/// What extensions tell, whether there is anything in it, and how far they have told then.
pub(super) struct Told {
    pub(super) answer: Extensions,
    pub(super) has_news: bool,
    pub(super) reached: Reached,
}

/// Asks all extensions that the client wants.
pub(super) async fn section(look: &Look<'_>, scopes: &[Scope<'_>]) -> Result<Told> {
    let (asked, before) = (look.asked, look.connection.told.extensions);
    let to_device = asked.to_device.as_ref().map(|_| to_device::section(look)).transpose()?;
    let (e2ee, account_data, receipts, typing) = tokio::try_join!(
        async { if asked.e2ee { e2ee::section(look).await.map(Some) } else { Ok(None) } },
        async {
            match &asked.account_data {
                Some(scope) => account_data::section(look, scopes, scope).await.map(Some),
                None => Ok(None),
            }
        },
        async {
            match &asked.receipts {
                Some(scope) => ephemeral::receipts(look, scopes, scope).await.map(Some),
                None => Ok(None),
            }
        },
        async {
            match &asked.typing {
                Some(scope) => ephemeral::typing(look, scopes, scope).await.map(Some),
                None => Ok(None),
            }
        },
    )?;
    let has_news = to_device.as_ref().is_some_and(|part| !part.events.is_empty())
        || e2ee.as_ref().is_some_and(|part| !part.is_empty())
        || account_data.as_ref().is_some_and(|part| !(part.global.is_empty() && part.rooms.is_empty()))
        || [&receipts, &typing].into_iter().flatten().any(|part| !part.rooms.is_empty());
    let reached = Reached {
        e2ee: before.e2ee.after(asked.e2ee, look.since),
        account_data: before.account_data.after(asked.account_data.is_some(), look.since),
        receipts: before.receipts.after(asked.receipts.is_some(), look.since),
        typing: before.typing.after(asked.typing.is_some(), look.since),
    };
    Ok(Told { answer: Extensions { to_device, e2ee, account_data, receipts, typing }, has_news, reached })
}
