//! To-device messages (MSC3885). Their token is one of `/sync`, so that a client may go on with either after the other.

use super::super::{look::Look, response::ToDevice};
use crate::{Result, to_device::deliver};

pub(super) fn section(look: &Look<'_>) -> Result<ToDevice> {
    let wanted = look.asked.to_device.as_ref().is_some_and(|to_device| to_device.limit > 0);
    let messages = look.facts.inbox.messages.iter().filter(|_| wanted);
    let events = messages.map(|(_, event)| deliver(event)).collect::<Result<_>>()?;
    Ok(ToDevice { next_batch: look.to_device, events })
}
