// Alice and Bob verify each other with emoji, in their encrypted room.
import { bootstrapCrossSigning } from "../lib/crypto.mjs";
import { encryptedRoom, exchange } from "../lib/rooms.mjs";
import { assertTrusts, knowsKeys, verifyWithSas } from "../lib/sas.mjs";

export const name = "sas-in-room";
export const weight = 3;

export async function run(context) {
    const [alice, bob] = await Promise.all([context.newUser("alice"), context.newUser("bob")]);
    await Promise.all([bootstrapCrossSigning(alice), bootstrapCrossSigning(bob)]);
    const room = await encryptedRoom(alice, [bob], { preset: "trusted_private_chat", is_direct: true });
    await exchange(alice, bob, room, "Shall we verify?");
    await Promise.all([knowsKeys(alice, bob.session), knowsKeys(bob, alice.session)]);
    await verifyWithSas(alice, bob, () => alice.getCrypto().requestVerificationDM(bob.getUserId(), room));
    await Promise.all([assertTrusts(alice, bob), assertTrusts(bob, alice)]);
    await exchange(bob, alice, room, "Verified");
}
