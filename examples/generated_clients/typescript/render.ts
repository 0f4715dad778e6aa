/**
 * Render a video of a song with types that openapi-typescript generates:
 *
 *     node out/render.js http://127.0.0.1:8000 song.wav video.mp4 enhanced
 *
 * See README.md in the folder above for how to generate `motes.d.ts` and to compile this.
 */

import { openAsBlob } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";

import createClient from "openapi-fetch";

import type { components, paths } from "./motes.d.ts";

type Job = components["schemas"]["Job"];
type Problem = components["schemas"]["Problem"];

const [url, song, video, particleType] = process.argv.slice(2);
if (!url || !song || !video || !particleType) {
  throw new Error("usage: node out/render.js URL SONG VIDEO TYPE");
}
const key = process.env.MOTES_API_KEY;
const motes = createClient<paths>({ baseUrl: url, headers: key ? { Authorization: `Bearer ${key}` } : {} });

/** The answer; ends the program if it is an error. */
function checked<T>({ data, error }: { data?: T; error?: Problem }): T {
  if (error) {
    console.error(`${error.status} ${error.title}: ${error.detail}`);
    process.exit(1);
  }
  return data as T;
}

/** The job whenever it changes, until it is over. */
async function* follow(jobId: string): AsyncGenerator<Job> {
  const path = { job_id: jobId };
  const events = checked(
    await motes.GET("/particles/jobs/{job_id}/events", { params: { path }, parseAs: "stream" }),
  );
  let text = "";
  for await (const chunk of events!.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length)) as Job;
    }
  }
}

const file = await openAsBlob(song);
const audio = checked(
  await motes.POST("/particles/audio", {
    body: { file: basename(song) }, // generated types have strings for files: this one is the name
    bodySerializer: (body) => {
      const form = new FormData();
      form.set("file", file, body.file);
      return form;
    },
  }),
);
const system = checked(
  await motes.POST("/particles/create", {
    body: { particle_type: particleType, config: { width: 320, height: 180, duration: "audio" } },
  }),
);
const accepted = checked(
  await motes.POST("/particles/systems/{system_id}/render", {
    params: { path: { system_id: system.system_id } },
    body: { audio_path: audio.audio_path, output_path: basename(video), quality: "draft" },
  }),
);
let last: Job | undefined;
for await (const job of follow(accepted.job_id)) {
  console.log(`${job.stage}: ${job.progress} %`);
  last = job;
}
if (last?.status !== "completed") {
  throw new Error(`${last?.status}: ${last?.error}`);
}
const path = { job_id: accepted.job_id };
const result = checked(await motes.GET("/particles/download/{job_id}", { params: { path }, parseAs: "arrayBuffer" }));
await writeFile(video, Buffer.from(result as ArrayBuffer));
