import { z } from 'zod';
import { permissionEventSchema } from '#domain';
import {
  DOOR,
  DOOR_PREFIX,
  IDEMPOTENCY_HEADER,
  idempotencyKeySchema,
  manyOrdersAnswerSchema,
  orderAnswerSchema,
  problemSchema,
  requestViewSchema,
  type DoorRoute,
} from './door-api.js';
import type { JsonSchema } from './json-schemas.js';

/** An OpenAPI 3.1 document, as data. */
export type OpenApiDocument = JsonSchema;

/** Schemas that several answers share, by their name in the document. */
const SHARED: ReadonlyMap<z.core.$ZodType, string> = new Map<z.core.$ZodType, string>([
  [problemSchema, 'Problem'],
  [permissionEventSchema, 'PermissionEvent'],
  [orderAnswerSchema, 'OrderAnswer'],
  [manyOrdersAnswerSchema, 'ManyOrdersAnswer'],
  [requestViewSchema, 'Request'],
]);

const PROBLEM = { $ref: '#/components/schemas/Problem' };

/** Schemas of OpenAPI 3.1 are JSON Schema 2020-12, so that nothing is lost on the way. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', own = false): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const name = SHARED.get(zodSchema);
      if (name === undefined || (own && (zodSchema as z.core.$ZodType) === schema)) return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key as keyof typeof jsonSchema];
      jsonSchema.$ref = `#/components/schemas/${name}`;
    },
  });
  return rest;
}

function parametersIn(place: 'path' | 'query', schema: z.ZodObject | undefined): JsonSchema[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: property,
  }));
}

const IDEMPOTENCY: JsonSchema = {
  name: IDEMPOTENCY_HEADER,
  in: 'header',
  required: false,
  description: 'The id of this order. Sent again with the same id and content it counts once. Made up when left out.',
  schema: schemaOf(idempotencyKeySchema, 'input'),
};

const PROBLEMS: Readonly<Record<string, string>> = {
  400: 'What was sent does not fit.',
  401: 'The token is missing or not accepted.',
  403: 'Not for this person.',
  404: 'There is no such thing.',
  409: 'It is not in a state for that, or the id is used for something else.',
  410: 'What was in force then is no longer kept here: ask the audit log.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  422: 'It is understood and refused.',
  429: 'Too many requests.',
  503: 'No answer in time: what was ordered may still be done. Send it again with the same Idempotency-Key.',
};

const PARTLY_DONE = 'Some of it, or all, could not be done: `failed` says what, and why.';

function operationOf(operationId: string, route: DoorRoute): JsonSchema {
  const answer = {
    description: 'Done, and binding.',
    content: { 'application/json': { schema: schemaOf(route.answer, 'output') } },
  };
  const problems = Object.entries(PROBLEMS).map(([status, description]) => [
    status,
    { description, content: { 'application/problem+json': { schema: PROBLEM } } },
  ]);
  return {
    operationId,
    summary: route.summary,
    description: `Allowed: ${route.allowed}.`,
    parameters: [
      ...parametersIn('path', route.params),
      ...parametersIn('query', route.query),
      ...(route.orders ? [IDEMPOTENCY] : []),
    ],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body, 'input') } } },
        }),
    responses: {
      200: answer,
      ...(route.answersForMany === true ? { 207: { ...answer, description: PARTLY_DONE } } : {}),
      ...(Object.fromEntries(problems) as JsonSchema),
    },
  };
}

/** `agents/:agent/grants` → `/v1/agents/{agent}/grants` */
function documentPath(path: string): string {
  return `${DOOR_PREFIX}${path.replaceAll(/:(\w+)/g, '{$1}')}`;
}

/** The one door for people as an OpenAPI 3.1.0 document. */
export function openApiDocument(): OpenApiDocument {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const [operationId, route] of Object.entries<DoorRoute>(DOOR)) {
    const path = documentPath(route.path);
    paths[path] = { ...paths[path], [route.method]: operationOf(operationId, route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Remit, the door for people',
      version: '1',
      description:
        'Everything people order of Remit goes through here. Every answer of an order is given once the order binds: ' +
        'whatever is appended afterwards obeys it. Problems are RFC 9457 with stable codes.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:8080', description: 'Loopback unless told otherwise.' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Who you are (sub) and your roles.',
        },
      },
      schemas: Object.fromEntries(
        [...SHARED].map(([schema, name]) => [name, schemaOf(schema as z.ZodType, 'output', true)]),
      ),
    },
  };
}
