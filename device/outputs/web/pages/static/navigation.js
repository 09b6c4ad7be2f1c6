// The way to the other pages. In another page's frame it needs the token, as everything does.

for (const link of document.querySelectorAll("nav a")) {
  link.href = withToken(link.getAttribute("href"));
}
