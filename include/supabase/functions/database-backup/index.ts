Deno.serve(() => new Response("replaced", { status: 410 }));
