// An interactive verification with emoji, played on both sides.
import assert from "node:assert/strict";
import { CryptoEvent, VerificationPhase } from "matrix-js-sdk/lib/crypto-api/index.js";
import { nextEvent, step, until } from "./wait.mjs";

/** `request` starts the verification on `asking`; it ends when both sides say that it is done. */
export async function verifyWithSas(asking, asked, request) {
    const both = [asking, asked];
    const arrives = nextEvent(
        "the request arrives",
        asked,
        CryptoEvent.VerificationRequestReceived,
        (incoming) => incoming.otherUserId === asking.getUserId(),
    );
    const outgoing = await step("the request is sent", request());
    const incoming = await arrives;
    const state = () => `phases: ${VerificationPhase[outgoing.phase]}, ${VerificationPhase[incoming.phase]}`;
    const reach = (what, check) => until(what, both, check, { state });

    await step("the request is accepted", incoming.accept());
    await reach("both sides are ready", () => [outgoing, incoming].every((r) => r.phase === VerificationPhase.Ready));

    const starter = await step("SAS is started", outgoing.startVerification("m.sas.v1"));
    const follower = await reach("the other side sees the start", () => incoming.verifier);
    const ends = [starter.verify(), follower.verify()];
    for (const end of ends) end.catch(() => {});

    const shown = await reach("both sides show the SAS", () => {
        const callbacks = [starter.getShowSasCallbacks(), follower.getShowSasCallbacks()];
        return callbacks.every(Boolean) && callbacks;
    });
    assert.equal(shown[0].sas.emoji?.length, 7, "seven emoji");
    assert.deepEqual(shown[0].sas.emoji, shown[1].sas.emoji, "both sides show the same emoji");
    assert.deepEqual(shown[0].sas.decimal, shown[1].sas.decimal, "both sides show the same numbers");

    await step("both sides confirm", Promise.all(shown.map((callbacks) => callbacks.confirm())));
    await step("both verifiers end", Promise.all(ends));
    await reach("both sides are done", () => [outgoing, incoming].every((r) => r.phase === VerificationPhase.Done));
}

/** `client` trusts the identity of `other` through cross-signing, and its device through that. */
export async function assertTrusts(client, other) {
    const crypto = client.getCrypto();
    const { userId, deviceId } = other.session;
    await until(`${client.getUserId()} trusts ${userId}`, client, async () =>
        (await crypto.getUserVerificationStatus(userId)).isCrossSigningVerified(),
    );
    await until(`${client.getUserId()} trusts the device ${deviceId}`, client, async () => {
        const status = await crypto.getDeviceVerificationStatus(userId, deviceId);
        return status?.crossSigningVerified;
    });
}

/**
 * `client` has fetched the cross-signing identity and the devices of a user, which requests for verification need. It
 * does so for users with whom it shares an encrypted room.
 */
export async function knowsKeys(client, { userId, deviceId }) {
    const crypto = client.getCrypto();
    await until(`${client.getUserId()} knows the keys of ${userId}`, client, async () => {
        const devices = (await crypto.getUserDeviceInfo([userId])).get(userId);
        return devices?.has(deviceId) && (await crypto.userHasCrossSigningKeys(userId));
    });
}
