// Rooms and messages through the SDK.
import assert from "node:assert/strict";
import { step, until } from "./wait.mjs";

const ENCRYPTION = {
    type: "m.room.encryption",
    state_key: "",
    content: { algorithm: "m.megolm.v1.aes-sha2" },
};

/** `creator` makes an encrypted room, invites the others, and they join; returns the room id. */
export async function encryptedRoom(creator, others, options = {}) {
    const { room_id: roomId } = await step(
        "the room is created",
        creator.createRoom({
            preset: "private_chat",
            initial_state: [ENCRYPTION],
            invite: others.map((client) => client.getUserId()),
            ...options,
        }),
    );
    await Promise.all(others.map((client) => acceptInvite(client, roomId)));
    await roomReady(creator, roomId, others);
    for (const client of others) await roomReady(client, roomId, [creator]);
    return roomId;
}

/** The invite comes down sync, and is accepted. */
export async function acceptInvite(client, roomId) {
    const me = client.getUserId();
    await until(`${me} sees the invite`, client, () => client.getRoom(roomId)?.getMyMembership() === "invite");
    await step(`${me} joins`, client.joinRoom(roomId));
}

/** `client` knows that it is in the room, that the room is encrypted, and that `others` are in it. */
export async function roomReady(client, roomId, others = []) {
    const me = client.getUserId();
    const room = await until(`${me} sees the room as joined and encrypted`, client, () => {
        const room = client.getRoom(roomId);
        return room?.getMyMembership() === "join" && room.hasEncryptionStateEvent() && room;
    });
    await step(`${me} loads the members`, room.loadMembersIfNeeded());
    for (const other of others) {
        const userId = other.getUserId();
        await until(`${me} sees ${userId} in the room`, client, () => room.getMember(userId)?.membership === "join");
    }
    return room;
}

/** Sends a text; returns the event id. */
export async function say(client, roomId, body) {
    const sent = await step(`${client.getUserId()} sends "${body}"`, client.sendTextMessage(roomId, body));
    return sent.event_id;
}

/** The decrypted event with this id in the client's timeline. */
export function receive(client, roomId, eventId) {
    const find = () => client.getRoom(roomId)?.findEventById(eventId);
    return until(
        `${client.getUserId()} decrypts ${eventId}`,
        client,
        () => {
            const event = find();
            return event && isDecrypted(event) && event;
        },
        { state: () => describeEvent(find()) },
    );
}

/** The event is there, encrypted on the wire and readable. */
export function isDecrypted(event) {
    return event.isEncrypted() && !event.isBeingDecrypted() && !event.isDecryptionFailure() && !!event.getClearContent();
}

export function describeEvent(event) {
    if (!event) return "the event did not arrive";
    if (event.isDecryptionFailure()) return `decryption failed: ${event.decryptionFailureReason}`;
    return `type ${event.getType()}`;
}

/** Sends a text from one client to the other, which must read exactly that. Returns the event as received. */
export async function exchange(from, to, roomId, body) {
    const eventId = await say(from, roomId, body);
    const event = await receive(to, roomId, eventId);
    assert.equal(event.getContent().body, body, "the decrypted text");
    assert.equal(event.getSender(), from.getUserId(), "the sender");
    assert.equal(event.getWireType(), "m.room.encrypted", "the type on the wire");
    assert.equal(event.getWireContent().body, undefined, "no text on the wire");
    return event;
}
