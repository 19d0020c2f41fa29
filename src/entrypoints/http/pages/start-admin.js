"use strict";

// The document is for admins only: sign in, keep the token in this page's memory, and show the document with it.
const form = document.getElementById("sign-in");
const refusal = document.getElementById("refusal");

async function answerOf(response) {
  const content = await response.json();
  if (!response.ok) throw new Error(content.detail);
  return content;
}

async function show(username, password) {
  const signedIn = await answerOf(await fetch("/auth/login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ username, password }),
  }));
  const authorization = `Bearer ${signedIn.access_token}`;
  const spec = await answerOf(await fetch("/admin/openapi.json", { headers: { Authorization: authorization } }));
  form.remove();
  SwaggerUIBundle({
    spec,
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      request.headers.Authorization ??= authorization;
      return request;
    },
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  refusal.textContent = "";
  const given = new FormData(form);
  show(given.get("username"), given.get("password")).catch((error) => {
    refusal.textContent = error.message;
  });
});
