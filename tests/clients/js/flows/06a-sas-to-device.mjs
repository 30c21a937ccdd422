// Alice and Bob verify each other with emoji, over to-device messages.
import { bootstrapCrossSigning } from "../lib/crypto.mjs";
import { encryptedRoom, exchange } from "../lib/rooms.mjs";
import { assertTrusts, knowsKeys, verifyWithSas } from "../lib/sas.mjs";

export const name = "sas-to-device";
export const weight = 2;

export async function run(context) {
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    await Promise.all([bootstrapCrossSigning(alice), bootstrapCrossSigning(bob)]);
    const { userId, deviceId } = bob.session;
    await exchange(alice, bob, await encryptedRoom(alice, [bob]), "Shall we verify?");
    await Promise.all([knowsKeys(alice, bob.session), knowsKeys(bob, alice.session)]);
    await verifyWithSas(alice, bob, () => alice.getCrypto().requestDeviceVerification(userId, deviceId));
    await Promise.all([assertTrusts(alice, bob), assertTrusts(bob, alice)]);
}
