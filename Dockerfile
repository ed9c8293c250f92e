# syntax=docker/dockerfile:1
# One image for every process of Remit: the command says which, for example `dist/apps/boundary/main.js`.

FROM node:24-bookworm-slim AS build
WORKDIR /remit
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY .swcrc tsconfig.json ./
COPY tools tools
COPY apps apps
COPY libs libs
RUN node tools/build.mjs && npm prune --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080
WORKDIR /remit
COPY --from=build /remit/package.json ./
COPY --from=build /remit/node_modules node_modules
COPY --from=build /remit/dist dist
COPY charters charters
# a volume mounted here belongs to whoever runs the process
RUN mkdir /var/lib/remit && chown node:node /var/lib/remit && chmod 700 /var/lib/remit
# a volume that is mounted here belongs to the user of the processes
RUN install -d -o node -g node -m 700 /var/lib/remit/record-keys
USER node
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=12 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/livez').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "--disable-warning=TimeoutNegativeWarning"]
CMD ["dist/apps/standalone/main.js"]
