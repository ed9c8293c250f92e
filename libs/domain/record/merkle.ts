import { DIGEST_BYTES, sameBytes, type BytesHash } from './bytes.js';

/*
 * Merkle trees as in RFC 6962, section 2.1 (RFC 9162 keeps them unchanged): a leaf is hashed after a byte 0x00, a node
 * after 0x01, and a tree of n leaves is split at the largest power of two below n. Leaves come here already hashed.
 */

const NODE = 0x01;

export type NodeHash = (left: Uint8Array, right: Uint8Array) => Uint8Array;

export function nodeHash(sha256: BytesHash): NodeHash {
  const scratch = new Uint8Array(1 + 2 * DIGEST_BYTES);
  scratch[0] = NODE;
  return (left, right) => {
    scratch.set(left, 1);
    scratch.set(right, 1 + DIGEST_BYTES);
    return sha256(scratch);
  };
}

/** The root over leaves that come one by one, in memory that grows with the tree's height only. */
export class MerkleRoot {
  readonly #hash: NodeHash;
  readonly #sha256: BytesHash;
  /** Roots of the full subtrees so far, the largest first; a bit of `size` for each. */
  readonly #full: Uint8Array[] = [];
  #size = 0;

  constructor(sha256: BytesHash) {
    this.#sha256 = sha256;
    this.#hash = nodeHash(sha256);
  }

  get size(): number {
    return this.#size;
  }

  add(leafHash: Uint8Array): void {
    let node = leafHash;
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) node = this.#hash(this.#pop(), node);
    this.#full.push(node);
    this.#size += 1;
  }

  root(): Uint8Array {
    let root = this.#full.at(-1);
    if (root === undefined) return this.#sha256(new Uint8Array());
    for (let i = this.#full.length - 2; i >= 0; i -= 1) root = this.#hash(this.#full[i]!, root);
    return root;
  }

  #pop(): Uint8Array {
    return this.#full.pop() ?? new Uint8Array(DIGEST_BYTES);
  }
}

/** A tree with all its nodes, for proofs. */
export class MerkleTree {
  /** Leaves first, the root last. A node without a sibling moves up as it is. */
  readonly #levels: (readonly Uint8Array[])[];

  constructor(leafHashes: readonly Uint8Array[], sha256: BytesHash) {
    const hash = nodeHash(sha256);
    this.#levels = [leafHashes];
    for (let below = leafHashes; below.length > 1;) {
      const level: Uint8Array[] = [];
      for (let i = 0; i < below.length; i += 2) {
        const [left, right] = [below[i], below[i + 1]];
        if (left !== undefined) level.push(right === undefined ? left : hash(left, right));
      }
      this.#levels.push(level);
      below = level;
    }
  }

  /** `undefined` for a tree without leaves. */
  get root(): Uint8Array | undefined {
    return this.#levels.at(-1)?.[0];
  }

  /** The siblings on the way from a leaf to the root, the leaf's own sibling first (RFC 6962, 2.1.1). */
  path(index: number): Uint8Array[] {
    const siblings: Uint8Array[] = [];
    let at = index;
    for (const level of this.#levels) {
      const sibling = level[at % 2 === 0 ? at + 1 : at - 1];
      if (sibling !== undefined) siblings.push(sibling);
      at = Math.floor(at / 2);
    }
    return siblings;
  }
}

/** Whether the path leads from the leaf to the root (RFC 9162, 2.1.3.2). */
export function isIncluded(
  proof: {
    readonly leafHash: Uint8Array;
    readonly index: number;
    readonly size: number;
    readonly path: readonly Uint8Array[];
    readonly root: Uint8Array;
  },
  sha256: BytesHash,
): boolean {
  const { index, size, path, root } = proof;
  if (index < 0 || index >= size) return false;
  const hash = nodeHash(sha256);
  let [fn, sn] = [index, size - 1];
  let node = proof.leafHash;
  for (const sibling of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      node = hash(sibling, node);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn / 2, Math.floor(sn / 2)];
    } else {
      node = hash(node, sibling);
    }
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && sameBytes(node, root);
}
