/** What the README has to know of a pack. */
interface PackContents {
  readonly holds: 'selection' | 'everything';
  readonly selection: Readonly<Record<string, string>>;
  readonly exportedAt: string;
  readonly entries: number;
}

/** What stands in the README of an evidence pack. */
export function packInstructions(manifest: PackContents): string {
  const what =
    manifest.holds === 'everything'
      ? 'every entry of the record, sealed as it is stored'
      : `what was asked for (${JSON.stringify(manifest.selection)}), each entry with the proof that it was in the record`;
  const shows =
    manifest.holds === 'everything'
      ? 'that nothing before the last checkpoint was altered, deleted, put in or moved'
      : 'that every entry was in the record exactly like this, and when; not that nothing was left out of the selection';
  return `# Evidence from a Remit record

Exported at ${manifest.exportedAt}: ${String(manifest.entries)} entries, ${what}.

## Verify it

    remit audit verify --export THIS_FOLDER --key PUBLIC_KEY.pem [--checkpoint KEPT.jsonl]

needs no database and no network. \`PUBLIC_KEY.pem\` is the key you were given when the record began, not the one in
manifest.json. \`KEPT.jsonl\` are checkpoints that you kept yourself: with them, not even the key's holder can have
written history anew. It shows ${shows}.

## Verify it without Remit

Every entry has a hash: SHA-256 over a byte 0x00, the 32 bytes of the hash before (zeros for the first of a
partition), the UTF-8 bytes of this JSON array as RFC 8785 writes it, the bytes of \`key\`, the bytes of \`value\`:

    ["remit.entry/1", topic, partition, offset, gapUntil, appendTime, keyId, headers, eventType, eventId, agentId,
     intentId, chainId, actionType, target, outcome, traceId, length of key or null, length of value or null]

It is the leaf hash of an RFC 6962 Merkle tree; \`path\` leads to \`root\` in the checkpoint of \`epoch\`. A checkpoint's
\`signature\` is Ed25519 over the RFC 8785 form of \`body\`; \`previous\` is the SHA-256 of the body before, \`nextKey\`
announces the key of the next one.

A sealed value is nonce (12 bytes), AES-256-GCM ciphertext, tag (16 bytes); additional data is
\`topic/partition/offset\`. Inside: the length of the headers (4 bytes, big endian), the headers as JSON, a byte 1, the
value; or a byte 0 where there is none. Entries whose key was destroyed stay sealed for ever; their proof still holds.
`;
}
