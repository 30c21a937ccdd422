// What takes over an account asks for the password: replacing the cross-signing keys, deleting a device.
import assert from "node:assert/strict";
import {
    assertOffersPassword,
    bootstrapCrossSigning,
    keyIdOf,
    passwordAuth,
    queryKeys,
    withPassword,
} from "../lib/crypto.mjs";
import { e } from "../lib/http.mjs";
import { encryptedRoom, exchange } from "../lib/rooms.mjs";
import { step, until } from "../lib/wait.mjs";

export const name = "reset-and-delete-with-uia";
export const weight = 2;

export async function run(context) {
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    const { session } = alice;
    const { userId, deviceId, http } = session;
    await bootstrapCrossSigning(alice);
    const before = await queryKeys(session, userId);
    await exchange(alice, bob, await encryptedRoom(alice, [bob]), "before the reset");
    const bobsView = () => bob.getCrypto().getUserVerificationStatus(userId);
    await until("Bob knows Alice's identity", bob, () => bob.getCrypto().userHasCrossSigningKeys(userId));
    assert.equal((await bobsView()).needsUserApproval, false, "Bob takes Alice's first identity");

    // A reset that cannot give the password changes nothing.
    const crypto = alice.getCrypto();
    const refusals = [];
    await step("a reset with the wrong password", async () => {
        await assert.rejects(
            crypto.bootstrapCrossSigning({
                setupNewCrossSigning: true,
                authUploadDeviceSigningKeys: async (makeRequest) => {
                    const challenge = await makeRequest(null).catch((error) => error);
                    assert.equal(challenge.httpStatus, 401, "replacing the keys asks for authentication");
                    refusals.push(challenge.data);
                    return makeRequest(passwordAuth(session, challenge.data.session, "wrong"));
                },
            }),
            (error) => error.httpStatus === 401 && error.errcode === "M_FORBIDDEN" && !!error.data.session,
        );
    });
    assertOffersPassword(refusals[0]);
    const unchanged = await queryKeys(session, userId);
    assert.deepEqual(unchanged.master.keys, before.master.keys, "a refused reset changes no key");

    const challenges = [];
    await step(
        "the reset",
        crypto.bootstrapCrossSigning({
            setupNewCrossSigning: true,
            authUploadDeviceSigningKeys: withPassword(session, challenges),
        }),
    );
    assert.equal(challenges.length, 1, "the reset asks for the password once");
    const after = await queryKeys(session, userId);
    for (const key of ["master", "selfSigning", "userSigning"]) {
        assert.notEqual(keyIdOf(after[key]), keyIdOf(before[key]), `the ${key} key is new`);
    }
    assert.ok(
        after.devices[deviceId].signatures[userId][keyIdOf(after.selfSigning)],
        "the device is signed with the new key",
    );
    await until("Alice's device is signed by the new identity", alice, async () => {
        return (await crypto.getDeviceVerificationStatus(userId, deviceId))?.crossSigningVerified;
    });

    await until("Bob is told that Alice's identity changed", bob, async () => (await bobsView()).needsUserApproval);

    // A device goes with the password only.
    const doomed = await context.login(session, "doomed");
    const challenge = await http.refused(401, undefined, "DELETE", `/devices/${e(doomed.deviceId)}`, {});
    assertOffersPassword(challenge);
    const wrong = await http.refused(401, "M_FORBIDDEN", "DELETE", `/devices/${e(doomed.deviceId)}`, {
        auth: passwordAuth(session, challenge.session, "wrong"),
    });
    assert.ok(wrong.session, "a refused password leaves the session open");
    await doomed.http.ok("GET", "/account/whoami");
    await step("the device is deleted", () =>
        withPassword(session)((auth) => alice.deleteDevice(doomed.deviceId, auth ?? undefined)),
    );
    await doomed.http.refused(401, "M_UNKNOWN_TOKEN", "GET", "/account/whoami");
    await http.refused(404, "M_NOT_FOUND", "GET", `/devices/${e(doomed.deviceId)}`);

    // And several at once.
    const more = [await context.login(session, "third"), await context.login(session, "fourth")];
    await step("devices are deleted", () =>
        withPassword(session)((auth) =>
            alice.deleteMultipleDevices(
                more.map((device) => device.deviceId),
                auth ?? undefined,
            ),
        ),
    );
    for (const device of more) await device.http.refused(401, "M_UNKNOWN_TOKEN", "GET", "/account/whoami");
    const { devices } = await step("devices", alice.getDevices());
    assert.deepEqual(devices.map((device) => device.device_id), [deviceId]);
}
