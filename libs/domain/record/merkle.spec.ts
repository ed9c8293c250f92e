import { hash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hexOf, type BytesHash } from './bytes.js';
import { isIncluded, MerkleRoot, MerkleTree } from './merkle.js';

const sha256: BytesHash = (bytes) => hash('sha256', bytes, 'buffer');

function leafHash(data: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([Buffer.of(0), data]));
}

/** The leaves and roots with which Certificate Transparency's own implementations are tested (RFC 6962). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => leafHash(Buffer.from(hex, 'hex')),
);
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const tree = new MerkleRoot(sha256);
  for (const leaf of leaves) tree.add(leaf);
  return tree.root();
}

describe('the tree under a checkpoint', () => {
  it.each(ROOTS.map((root, size) => ({ size, root })))(
    'has the root that Certificate Transparency gives for $size leaves',
    ({ size, root }) => {
      expect(hexOf(rootOf(LEAVES.slice(0, size)))).toBe(root);
    },
  );

  it('proves that a leaf is in it with the paths that Certificate Transparency gives', () => {
    const path = (index: number, size: number): string[] =>
      new MerkleTree(LEAVES.slice(0, size), sha256).path(index).map(hexOf);
    expect(path(0, 1)).toEqual([]);
    expect(path(0, 8)).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(path(5, 8)).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(path(2, 3)).toEqual(['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']);
    expect(path(1, 5)).toEqual([
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });

  it('accepts the path of every leaf, and none for another leaf, place, size or root', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), (size, seed) => {
        const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from([i, size])));
        const index = seed % size;
        const proof = {
          leafHash: leaves[index] ?? Buffer.alloc(0),
          index,
          size,
          path: new MerkleTree(leaves, sha256).path(index),
          root: rootOf(leaves),
        };
        expect(isIncluded(proof, sha256)).toBe(true);
        const other = leafHash(Buffer.from('other'));
        expect(isIncluded({ ...proof, leafHash: other }, sha256)).toBe(false);
        expect(isIncluded({ ...proof, root: other }, sha256)).toBe(false);
        expect(isIncluded({ ...proof, path: [...proof.path, other] }, sha256)).toBe(false);
        expect(isIncluded({ ...proof, index: size }, sha256)).toBe(false);
        if (size > 1) {
          expect(isIncluded({ ...proof, index: (index + 1) % size }, sha256)).toBe(false);
          expect(isIncluded({ ...proof, path: proof.path.slice(1) }, sha256)).toBe(false);
        }
      }),
    );
  });
});
